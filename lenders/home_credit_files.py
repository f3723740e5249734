"""Which of Home Credit's files and columns are read: Kaggle's own names."""

from __future__ import annotations

from lenders.raw_files import RawFile, columns

APPLICATION_FILES = ("application_train", "application_test")

DOCUMENT_FLAGS = tuple(f"FLAG_DOCUMENT_{number}" for number in range(2, 22))


def application_file(name: str) -> RawFile:
    """Columns read from `application_train` or, without `TARGET`, `application_test`."""
    return RawFile(
        name,
        columns(
            "SK_ID_CURR",
            "TARGET AMT_INCOME_TOTAL AMT_CREDIT AMT_ANNUITY AMT_GOODS_PRICE DAYS_BIRTH DAYS_EMPLOYED DAYS_REGISTRATION "
            "DAYS_ID_PUBLISH DAYS_LAST_PHONE_CHANGE OWN_CAR_AGE CNT_CHILDREN CNT_FAM_MEMBERS FLAG_WORK_PHONE "
            "FLAG_EMAIL REGION_POPULATION_RELATIVE REGION_RATING_CLIENT_W_CITY REG_CITY_NOT_LIVE_CITY "
            "LIVE_CITY_NOT_WORK_CITY EXT_SOURCE_1 EXT_SOURCE_2 EXT_SOURCE_3 TOTALAREA_MODE FLOORSMAX_AVG "
            "YEARS_BUILD_AVG OBS_30_CNT_SOCIAL_CIRCLE DEF_30_CNT_SOCIAL_CIRCLE DEF_60_CNT_SOCIAL_CIRCLE "
            "AMT_REQ_CREDIT_BUREAU_WEEK AMT_REQ_CREDIT_BUREAU_MON AMT_REQ_CREDIT_BUREAU_QRT AMT_REQ_CREDIT_BUREAU_YEAR "
            f"HOUR_APPR_PROCESS_START {' '.join(DOCUMENT_FLAGS)}",
            "NAME_CONTRACT_TYPE CODE_GENDER FLAG_OWN_CAR FLAG_OWN_REALTY NAME_INCOME_TYPE NAME_EDUCATION_TYPE "
            "NAME_FAMILY_STATUS NAME_HOUSING_TYPE OCCUPATION_TYPE ORGANIZATION_TYPE WEEKDAY_APPR_PROCESS_START",
        ),
        optional=("TARGET",),
    )


CHILDREN = (
    RawFile(
        "bureau",
        columns(
            "SK_ID_CURR SK_ID_BUREAU",
            "DAYS_CREDIT DAYS_CREDIT_UPDATE DAYS_CREDIT_ENDDATE DAYS_ENDDATE_FACT CREDIT_DAY_OVERDUE "
            "CNT_CREDIT_PROLONG AMT_CREDIT_SUM AMT_CREDIT_SUM_DEBT AMT_CREDIT_SUM_LIMIT AMT_CREDIT_SUM_OVERDUE "
            "AMT_CREDIT_MAX_OVERDUE AMT_ANNUITY",
            "CREDIT_ACTIVE CREDIT_CURRENCY CREDIT_TYPE",
        ),
    ),
    RawFile("bureau_balance", columns("SK_ID_BUREAU", "MONTHS_BALANCE", "STATUS")),
    RawFile(
        "credit_card_balance",
        columns(
            "SK_ID_CURR SK_ID_PREV",
            "MONTHS_BALANCE AMT_CREDIT_LIMIT_ACTUAL AMT_BALANCE AMT_INST_MIN_REGULARITY AMT_PAYMENT_TOTAL_CURRENT "
            "AMT_DRAWINGS_CURRENT AMT_DRAWINGS_ATM_CURRENT CNT_DRAWINGS_CURRENT CNT_DRAWINGS_ATM_CURRENT SK_DPD",
        ),
    ),
    RawFile(
        "previous_application",
        columns(
            "SK_ID_CURR SK_ID_PREV",
            "DAYS_DECISION DAYS_TERMINATION AMT_APPLICATION AMT_CREDIT AMT_DOWN_PAYMENT AMT_ANNUITY CNT_PAYMENT",
            "NAME_CONTRACT_TYPE NAME_CONTRACT_STATUS",
        ),
    ),
    RawFile(
        "installments_payments",
        columns(
            "SK_ID_CURR SK_ID_PREV",
            "NUM_INSTALMENT_VERSION NUM_INSTALMENT_NUMBER DAYS_INSTALMENT DAYS_ENTRY_PAYMENT AMT_INSTALMENT "
            "AMT_PAYMENT",
        ),
    ),
    RawFile(
        "POS_CASH_balance",
        columns("SK_ID_CURR SK_ID_PREV", "MONTHS_BALANCE CNT_INSTALMENT_FUTURE SK_DPD", "NAME_CONTRACT_STATUS"),
    ),
)
