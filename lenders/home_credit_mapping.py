"""What of Home Credit's files becomes which canonical column: declarations in SQL expressions, no execution.

Kaggle's codes: `XNA` and `XAP` stand for missing; 365243 days stand for "never" (not employed, not ended).
"""

from __future__ import annotations

from collections.abc import Mapping

from lenders.home_credit_files import DOCUMENT_FLAGS
from lenders.mapping import Mapped, at, choice

HOME_CREDIT_MACROS = """
CREATE MACRO known(code) AS CASE WHEN code NOT IN ('XNA', 'XAP', '') THEN code END;
CREATE MACRO age_days(days) AS CASE WHEN days <= 0 THEN -days END;
CREATE MACRO day_at(applied_at, days) AS applied_at + to_days(CAST(days AS INTEGER));
CREATE MACRO month_at(applied_at, months) AS applied_at + to_months(CAST(months AS INTEGER));
CREATE MACRO applied(weekday, hour) AS TIMESTAMP '2018-05-07 00:00:00' - INTERVAL 8 HOUR
  + to_days(CAST(list_position(
      ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY', 'SUNDAY'], weekday) - 1 AS INTEGER))
  + to_hours(CAST(hour AS BIGINT));
"""  # 7 May 2018 is a Monday, and early enough in a month that a month's end never cuts `month_at` short


_PRODUCT = choice(
    "NAME_CONTRACT_TYPE",
    {"Cash loans": "cash", "Consumer loans": "consumer", "Revolving loans": "revolving"},
    otherwise="other",
)

# code books that another publisher uses, too
MARITAL_STATUS = {
    "Single / not married": "single",
    "Married": "married",
    "Civil marriage": "cohabiting",  # in the lender's countries: living together, not registered
    "Separated": "separated",
    "Widow": "widowed",
    "Unknown": "unknown",
}
EDUCATION = {
    "Lower secondary": "lower_secondary",
    "Secondary / secondary special": "secondary",
    "Incomplete higher": "vocational",
    "Higher education": "bachelor",
    "Academic degree": "postgraduate",
}
HOUSING = {
    "House / apartment": "own",
    "With parents": "parents",
    "Municipal apartment": "municipal",
    "Rented apartment": "rented",
    "Office apartment": "employer",
    "Co-op apartment": "other",
}
EMPLOYMENT = {
    "Working": "employee",
    "State servant": "public",
    "Commercial associate": "other",  # neither plainly employed nor plainly in business for oneself
    "Maternity leave": "other",
    "Businessman": "business_owner",
    "Pensioner": "pensioner",
    "Student": "student",
    "Unemployed": "unemployed",
}

_APPLICATION = {
    "application_id": "CAST(SK_ID_CURR AS VARCHAR)",
    "customer_id": "CAST(SK_ID_CURR AS VARCHAR)",  # Kaggle names each application's customer anew
    "applied_at": "applied(WEEKDAY_APPR_PROCESS_START, HOUR_APPR_PROCESS_START)",
    "product": _PRODUCT,
    "amount_requested": "fen(AMT_CREDIT)",
    "instalment_monthly": "fen(AMT_ANNUITY)",
    "goods_price": "fen(AMT_GOODS_PRICE)",
    "income_monthly": "fen(AMT_INCOME_TOTAL / 12)",
    "age_years": "-DAYS_BIRTH / 365.25",
    "gender": choice("CODE_GENDER", {"F": "female", "M": "male"}),
    "marital_status": choice("NAME_FAMILY_STATUS", MARITAL_STATUS),
    "children_count": "whole(CNT_CHILDREN)",
    "household_size": "whole(CNT_FAM_MEMBERS)",
    "education": choice("NAME_EDUCATION_TYPE", EDUCATION),
    "housing": choice("NAME_HOUSING_TYPE", HOUSING),
    "employment": choice("NAME_INCOME_TYPE", EMPLOYMENT),
    "occupation": "known(OCCUPATION_TYPE)",
    "industry": "known(ORGANIZATION_TYPE)",
    # 365243 (36500 in some copies), the only positive value, marks pensioners and the unemployed
    "employed_months": "age_days(DAYS_EMPLOYED) / 30.4375",
    # -1, outside the scale of 1 to 3, occurs in application_test
    "region_rating": "CASE WHEN REGION_RATING_CLIENT_W_CITY > 0 THEN whole(REGION_RATING_CLIENT_W_CITY) END",
    "region_density": "REGION_POPULATION_RELATIVE",
    "owns_car": "FLAG_OWN_CAR = 'Y'",
    "car_age_years": "OWN_CAR_AGE",
    "owns_home": "FLAG_OWN_REALTY = 'Y'",
    "works_elsewhere": "flag(LIVE_CITY_NOT_WORK_CITY)",
    "lives_elsewhere": "flag(REG_CITY_NOT_LIVE_CITY)",
    "has_work_phone": "flag(FLAG_WORK_PHONE)",
    "has_email": "flag(FLAG_EMAIL)",
    "documents_provided": f"whole({' + '.join(DOCUMENT_FLAGS)})",
    "identity_document_provided": "flag(FLAG_DOCUMENT_3)",
    "identity_age_days": "age_days(DAYS_ID_PUBLISH)",
    "registration_age_days": "age_days(DAYS_REGISTRATION)",
    "phone_age_days": "age_days(DAYS_LAST_PHONE_CHANGE)",
    "external_score_1": "EXT_SOURCE_1",
    "external_score_2": "EXT_SOURCE_2",
    "external_score_3": "EXT_SOURCE_3",
    "circle_observed_30d": "whole(OBS_30_CNT_SOCIAL_CIRCLE)",
    "circle_defaults_30d": "whole(DEF_30_CNT_SOCIAL_CIRCLE)",
    "circle_defaults_60d": "whole(DEF_60_CNT_SOCIAL_CIRCLE)",
    "bureau_queries_week": "whole(AMT_REQ_CREDIT_BUREAU_WEEK)",
    "bureau_queries_month": "whole(AMT_REQ_CREDIT_BUREAU_MON)",
    "bureau_queries_quarter": "whole(AMT_REQ_CREDIT_BUREAU_QRT)",
    "bureau_queries_year": "whole(AMT_REQ_CREDIT_BUREAU_YEAR)",
    "dwelling_area": "TOTALAREA_MODE",
    "dwelling_floors": "FLOORSMAX_AVG",
    "dwelling_age": "YEARS_BUILD_AVG",
}

_CUSTOMER = {"customer_id": "CAST(SK_ID_CURR AS VARCHAR)"}


def _fen_of_currency_1(column: str) -> str:
    # 0.1 % of accounts are in other currencies; their rates are not published, so their amounts are missing
    return f"CASE WHEN CREDIT_CURRENCY = 'currency 1' THEN fen({column}) END"


_TRADELINE = {
    "tradeline_id": "CAST(SK_ID_BUREAU AS VARCHAR)",
    **_CUSTOMER,
    "occurred_at": "day_at(applied_at, DAYS_CREDIT)",
    # some reports are dated before the account was opened (down to -41926 days): nobody knew of it then. Reports that
    # arrived after the application keep their day, so that no decision at `applied_at` sees them
    "known_at": "day_at(applied_at, greatest(DAYS_CREDIT, DAYS_CREDIT_UPDATE))",
    "kind": choice(
        "CREDIT_TYPE",
        {
            "Mortgage": "mortgage",
            "Real estate loan": "mortgage",
            "Car loan": "car",
            "Credit card": "card",
            "Consumer credit": "consumer",
            "Cash loan (non-earmarked)": "cash",
            "Microloan": "microloan",
            "Loan for business development": "business",
            "Loan for working capital replenishment": "business",
            "Loan for the purchase of equipment": "business",
        },
        otherwise="other",
    ),
    "status": choice("CREDIT_ACTIVE", {"Active": "active", "Closed": "closed", "Sold": "sold", "Bad debt": "bad"}),
    # ends before the opening (down to -42023 days) are faults of the feed: missing
    "closed_at": "CASE WHEN DAYS_ENDDATE_FACT >= DAYS_CREDIT THEN day_at(applied_at, DAYS_ENDDATE_FACT) END",
    "due_at": "CASE WHEN DAYS_CREDIT_ENDDATE >= DAYS_CREDIT THEN day_at(applied_at, DAYS_CREDIT_ENDDATE) END",
    "amount": _fen_of_currency_1("AMT_CREDIT_SUM"),
    "credit_limit": _fen_of_currency_1("AMT_CREDIT_SUM_LIMIT"),
    "balance": _fen_of_currency_1("AMT_CREDIT_SUM_DEBT"),
    "instalment_monthly": _fen_of_currency_1("AMT_ANNUITY"),
    "overdue_amount": _fen_of_currency_1("AMT_CREDIT_SUM_OVERDUE"),
    "overdue_amount_max": _fen_of_currency_1("AMT_CREDIT_MAX_OVERDUE"),
    "overdue_days": "whole(CREDIT_DAY_OVERDUE)",
    "prolonged_count": "whole(CNT_CREDIT_PROLONG)",
}

_TRADELINE_MONTH = {
    "tradeline_id": "CAST(SK_ID_BUREAU AS VARCHAR)",
    **_CUSTOMER,
    **at("month_at(applied_at, MONTHS_BALANCE)"),
    "status": choice("STATUS", {"C": "closed", "X": "unknown"}, otherwise="open"),
    "overdue_bucket": "CASE STATUS WHEN 'C' THEN 0 WHEN 'X' THEN NULL ELSE CAST(STATUS AS BIGINT) END",
}

_CARD_MONTH = {
    "card_id": "CAST(SK_ID_PREV AS VARCHAR)",
    **_CUSTOMER,
    **at("month_at(applied_at, MONTHS_BALANCE)"),
    "credit_limit": "fen(AMT_CREDIT_LIMIT_ACTUAL)",
    "balance": "fen(AMT_BALANCE)",
    "minimum_due": "fen(AMT_INST_MIN_REGULARITY)",
    "paid": "fen(AMT_PAYMENT_TOTAL_CURRENT)",
    "drawn": "fen(AMT_DRAWINGS_CURRENT)",
    "drawn_cash": "fen(AMT_DRAWINGS_ATM_CURRENT)",
    "drawings": "whole(CNT_DRAWINGS_CURRENT)",
    "drawings_cash": "whole(CNT_DRAWINGS_ATM_CURRENT)",
    "dpd": "whole(SK_DPD)",
}

# a loan's last state before the application: what ended afterwards (365243, or a planned day) had not ended yet
_ENDED = "CASE WHEN DAYS_TERMINATION <= 0 THEN greatest(DAYS_DECISION, DAYS_TERMINATION) END"
_GRANTED = "NAME_CONTRACT_STATUS NOT IN ('Refused', 'Canceled')"

_LOAN = {
    "loan_id": "CAST(SK_ID_PREV AS VARCHAR)",
    **_CUSTOMER,
    "occurred_at": "day_at(applied_at, DAYS_DECISION)",
    "known_at": f"day_at(applied_at, coalesce({_ENDED}, DAYS_DECISION))",
    "product": _PRODUCT,
    "status": f"CASE WHEN NAME_CONTRACT_STATUS = 'Approved' AND {_ENDED} IS NOT NULL THEN 'closed' ELSE "
    + choice(
        "NAME_CONTRACT_STATUS",
        {"Approved": "granted", "Refused": "refused", "Canceled": "cancelled", "Unused offer": "unused"},
    )
    + " END",
    "amount_requested": "fen(AMT_APPLICATION)",
    "principal": f"CASE WHEN {_GRANTED} THEN fen(AMT_CREDIT) END",
    "down_payment": "fen(AMT_DOWN_PAYMENT)",
    "instalment_monthly": "fen(AMT_ANNUITY)",
    "term_months": "nullif(whole(CNT_PAYMENT), 0)",  # 0 marks a revolving loan, which has no term
    "closed_at": f"day_at(applied_at, {_ENDED})",
}

# instalments of a loan whose own request is not in previous_application (some are missing in Kaggle's files as well)
# prove that it was granted: it is kept with what they tell
_LOAN_BY_INSTALMENTS = """
UNION ALL BY NAME
SELECT CAST(SK_ID_PREV AS VARCHAR) AS loan_id, CAST(any_value(SK_ID_CURR) AS VARCHAR) AS customer_id,
       day_at(any_value(applied_at), min(DAYS_INSTALMENT)) AS occurred_at, occurred_at AS known_at,
       'other' AS product, 'granted' AS status
FROM installments_payments JOIN applicants USING (SK_ID_CURR)
WHERE SK_ID_PREV NOT IN (SELECT SK_ID_PREV FROM previous_application JOIN applicants USING (SK_ID_CURR))
GROUP BY SK_ID_PREV
"""

_LOAN_MONTH = {
    "loan_id": "CAST(SK_ID_PREV AS VARCHAR)",
    **_CUSTOMER,
    **at("month_at(applied_at, MONTHS_BALANCE)"),
    "status": choice(
        "NAME_CONTRACT_STATUS",
        {"Active": "active", "Completed": "closed", "Signed": "signed", "Approved": "signed"},
        otherwise="other",
    ),
    "instalments_left": "whole(CNT_INSTALMENT_FUTURE)",
    "dpd": "whole(SK_DPD)",
}

# one row a payment; an instalment paid in parts comes several times. The due day is in the name, for a schedule that
# was moved within its version
_INSTALMENT_ID = (
    "concat_ws('-', SK_ID_PREV, whole(coalesce(NUM_INSTALMENT_VERSION, 0)), whole(NUM_INSTALMENT_NUMBER), "
    "whole(-DAYS_INSTALMENT))"
)
_INSTALMENT = {
    "instalment_id": _INSTALMENT_ID,
    "loan_id": "CAST(any_value(SK_ID_PREV) AS VARCHAR)",
    "customer_id": "CAST(any_value(SK_ID_CURR) AS VARCHAR)",
    # when a version of the schedule was drawn up is not published; it was known at the latest on the day it was due
    **at("day_at(any_value(applied_at), any_value(DAYS_INSTALMENT))"),
    "due_at": "day_at(any_value(applied_at), any_value(DAYS_INSTALMENT))",
    "number": "whole(any_value(NUM_INSTALMENT_NUMBER))",
    "amount_due": "fen(max(AMT_INSTALMENT))",
}
_PAYMENT = {
    "payment_id": f"concat_ws('-', {_INSTALMENT_ID}, row_number() OVER ("
    f"PARTITION BY {_INSTALMENT_ID} ORDER BY DAYS_ENTRY_PAYMENT, AMT_PAYMENT))",
    "loan_id": "CAST(SK_ID_PREV AS VARCHAR)",
    "instalment_id": _INSTALMENT_ID,
    **_CUSTOMER,
    **at("day_at(applied_at, DAYS_ENTRY_PAYMENT)"),
    "amount": "fen(AMT_PAYMENT)",
}

_OUTCOME = {
    "application_id": "CAST(SK_ID_CURR AS VARCHAR)",
    **_CUSTOMER,
    # the lender does not say how long it watched; a year stands for it, always after the decision
    **at("day_at(applied_at, 365)"),
    "defaulted": "flag(TARGET)",
}


def _of_applicants(
    table: str,
    columns: Mapping[str, str],
    file: str,
    order: str,
    grouped: str = "",
    extension: tuple[str, str] | None = None,
) -> Mapped:
    rows = f'"{file}" JOIN applicants USING (SK_ID_CURR)'
    return Mapped(table, columns, rows + grouped, order, (file,), kept={file: rows}, extension=extension)


_MONTHS = "bureau_balance JOIN bureau USING (SK_ID_BUREAU) JOIN applicants USING (SK_ID_CURR)"

MAPPINGS = (
    Mapped("applications", _APPLICATION, "raw_applications", "application_id"),
    _of_applicants("tradelines", _TRADELINE, "bureau", "tradeline_id"),
    Mapped(
        "tradeline_months",
        _TRADELINE_MONTH,
        _MONTHS,
        "tradeline_id, occurred_at",
        ("bureau", "bureau_balance"),
        kept={"bureau_balance": _MONTHS},
    ),
    _of_applicants("card_months", _CARD_MONTH, "credit_card_balance", "card_id, occurred_at"),
    _of_applicants(
        "loans",
        _LOAN,
        "previous_application",
        "loan_id",
        extension=("installments_payments", _LOAN_BY_INSTALMENTS),
    ),
    _of_applicants("loan_months", _LOAN_MONTH, "POS_CASH_balance", "loan_id, occurred_at"),
    _of_applicants(
        "instalments", _INSTALMENT, "installments_payments", "instalment_id", grouped=" GROUP BY instalment_id"
    ),
    Mapped(
        "payments",
        _PAYMENT,
        "installments_payments JOIN applicants USING (SK_ID_CURR) WHERE DAYS_ENTRY_PAYMENT IS NOT NULL "
        "AND AMT_PAYMENT IS NOT NULL",
        "payment_id",
        ("installments_payments",),
    ),
    Mapped(
        "outcomes",
        _OUTCOME,
        "raw_applications JOIN applicants USING (SK_ID_CURR) WHERE TARGET IS NOT NULL",
        "1",
        given="SELECT 1 FROM raw_applications WHERE TARGET IS NOT NULL",
    ),
)
