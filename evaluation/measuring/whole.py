"""Everything a report says of a bundle, measured: what is expensive on a sample, as the report says in its place."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from evaluation.comparison import Comparison
from evaluation.implementation import implementation_test, served_rows
from evaluation.lineage import origin
from evaluation.measuring import explanation, probes, sample, worth
from evaluation.measuring.course import course_of
from evaluation.measuring.persons import treatment_of
from evaluation.measuring.subject import Subject
from evaluation.missing_sources import without_sources
from evaluation.profit import Assumptions
from evaluation.report import words
from evaluation.report.inputs import Exclusion, Explained, Identity, Method, Part, ReportInput, SampleFacts
from evaluation.segments import by_segment
from reporting.page import Text, Unknown

ASSUMED = Assumptions(margin=0.1, lgd=0.6)  # of nobody in particular; the report says that they are assumed
_NO_CHALLENGER = Unknown(
    Text(
        "未提供对比模型；lendwell compare 可在相同申请上比较两个模型。",
        "No other model was given; lendwell compare sets two beside each other on the same applications.",
    )
)
_NO_OWNER = Unknown(
    Text("本报告未获得责任人信息；见模型登记册。", "No owner was told to this report; see the model register.")
)


def report_input(
    subject: Subject,
    tell: Callable[[str, float], None],
    *,
    created: str = "",
    owner: str = "",
    challenger: Comparison | None = None,
) -> ReportInput:
    """Measure a bundle on its rows; `tell` is called with a step and the share that is done."""
    bundle, folder, seed, test = subject.bundle, subject.folder, subject.experiment.seed, subject.test
    with ThreadPoolExecutor(1) as beside:  # mostly DuckDB's work, beside what is mostly Python's
        silent = beside.submit(without_sources, bundle, folder, subject.rows, subject.tested, test.pd)
        tell("evaluation: attributions", 0.1)
        explained = explanation.explained_sample(subject)
        months = explanation.months_of_events(subject, explained)
        tell("evaluation: interactions", 0.2)
        pairs = worth.interactions_of(subject, explained.features)
        tell("evaluation: data", 0.35)
        came = origin(bundle, folder, subject.experiment.decision_point)
        tell("evaluation: implementation", 0.4)
        served = served_rows(bundle, folder, subject.rows, subject.tested, seed=seed)
        same = implementation_test(bundle, subject.rows, served)
        tell("evaluation: reasons", 0.45)
        reasons = explanation.reasons_of(subject, explained, served)
        tell("evaluation: probes", 0.5)
        score = probes.scorer(subject)
        slices, noise = probes.slices_of(subject), probes.noise_of(subject, score)
        directions = probes.directions_of(subject, score)
        tell("evaluation: over time, by segment", 0.7)
        over_time = course_of(subject)
        segments = by_segment(test.y, test.pd, subject.dimensions, seed=seed)
        tell("evaluation: without each source", 0.85)
        without = tuple(silent.result())
    tell("evaluation: alternative, fairness", 0.9)
    return ReportInput(
        identity=_identity(subject, owner),
        sample=_sample(subject),
        features=sample.features_of(subject),
        method=_method(subject),
        explained=Explained(explained.features, explained.attributions, explained.attributions.log_odds, pairs, months),
        origin=came,
        alternative=worth.alternative_of(subject),
        challenger=challenger or _NO_CHALLENGER,
        course=over_time,
        segments=segments,
        overfit=worth.overfit_of(subject),
        slices=slices,
        noise=noise,
        reliability=probes.reliability_of(subject),
        directions=directions,
        reasons=reasons,
        treatment=treatment_of(subject),
        profit=worth.profit_of(subject, ASSUMED),
        without=without,
        implementation=same,
        monitoring=worth.monitoring_of(subject),
        hashes={f"data/{name}": value for name, value in folder.hashes.items()},
        limitations=words.limitations(bundle, test),
        created=created,
        seed=seed,
    )


def _identity(subject: Subject, owner: str) -> Identity:
    bundle = subject.bundle
    return Identity(
        model=bundle.name,
        decision_point=bundle.decision_point,
        lender=subject.folder.lender,
        bundle=bundle.identity,
        feature_set=bundle.feature_set.name,
        features=bundle.feature_set.identity,
        data=subject.folder.identity,
        trained_on=bundle.facts["data_identity"],
        use=words.use_text(bundle, words.target_text(subject.experiment)),
        not_for=words.not_for_text(bundle, sample.products_of(subject)),
        owner=Text(owner, owner) if owner else _NO_OWNER,
        versions=bundle.facts["versions"],
    )


def _sample(subject: Subject) -> SampleFacts:
    bundle = subject.bundle
    unseen = Text("全部为未见过的样本", "All rows are unseen")
    return SampleFacts(
        target=words.target_text(subject.experiment),
        split_method=words.split_text(bundle) if subject.own else unseen,
        splits=subject.splits,
        windows=words.windows_text(subject.experiment, bundle.feature_set),
        notes=words.rejects_text(bundle),
        exclusions=[Exclusion(Text(left.zh, left.en), left.count) for left in subject.rows.left_out],
        months=sample.months_of(subject),
    )


def _method(subject: Subject) -> Method:
    model = subject.bundle.model
    return Method(
        experiment=subject.bundle.facts["experiment_text"],
        parts=[Part(name, weight, words.dropped_text(model, name)) for name, weight in model.weights_.items()],
        calibrator=words.CALIBRATORS.get(model.calibrator_.kind, model.calibrator_.kind),
        seeds={"experiment": subject.experiment.seed},
    )
