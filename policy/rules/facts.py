"""Facts of past applications as rules read them: columns of the application, features and consents, a row each."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from data_contracts.folder import TableFolder
from features import batch
from features.sets import feature_set
from policy.rules.fields import FEATURE_SET


def read_facts(folder: TableFolder, features: pd.DataFrame | None = None) -> pd.DataFrame:
    """Facts of every application of a folder, without what only a score brings.

    Parameters
    ----------
    folder : TableFolder
    features : DataFrame, optional
        Features by `application_id`, where they were computed before.

    Returns
    -------
    DataFrame, shape (n_applications, n_facts)
        Indexed by `application_id` in ascending order.
    """
    matrix = batch.compute(folder, feature_set(FEATURE_SET)) if features is None else features
    applications = folder.read("applications").set_index("application_id")
    facts = [applications, matrix.reindex(applications.index)]
    if "consents" in folder.tables:
        facts.append(consents_at(applications, folder.read("consents")))
    return pd.concat(facts, axis=1).sort_index()


def consents_at(
    applications: pd.DataFrame, consents: pd.DataFrame, providers: Iterable[str] | None = None
) -> pd.DataFrame:
    """Whether each customer had agreed to each use of records when the application was decided, as was known then.

    Parameters
    ----------
    applications : DataFrame
        `customer_id` and `applied_at`, indexed by `application_id`.
    consents : DataFrame
        The canonical table, or what it has of these customers; a withdrawal is a correction.
    providers : iterable of str, optional
        Whom customers are asked about, see `asked_about`; those of `consents` by default.

    Returns
    -------
    DataFrame of bool
        `consent_bureau` ...: a column for each provider.
    """
    asked = consents[consents["decision_point"] == "application"]
    told = applications[["customer_id", "applied_at"]].reset_index().merge(asked, on="customer_id")
    told = told[told["known_at"] <= told["applied_at"]].sort_values("known_at", kind="stable")
    told = told.drop_duplicates(["application_id", "consent_id"], keep="last")
    holds = told[told["expires_at"].isna() | (told["expires_at"] > told["applied_at"])]
    agreed = {
        f"consent_{provider}": applications.index.isin(holds.loc[holds["provider"] == provider, "application_id"])
        for provider in sorted(asked["provider"].unique() if providers is None else providers)
    }
    return pd.DataFrame(agreed, index=applications.index)


def asked_about(folder: TableFolder) -> list[str]:
    """Providers whose records any customer was asked about, so that a consent that is not there was not given."""
    asked = folder.read("consents", ["provider", "decision_point"])
    return sorted(asked.loc[asked["decision_point"] == "application", "provider"].unique())
