"""Every canonical table. A lender maps what it has; a table that it lacks is absent, not faked.

`EVENT_TABLES` are what features are computed from: they carry `customer_id`, `occurred_at` and `known_at`.
`applications` is what is decided upon, `consents` what records may be used, `outcomes` what became of a loan.
"""

from __future__ import annotations

from data_contracts.declare import Column, ForeignKey, Table
from data_contracts.rules import (
    APPLICATION_RULES,
    CARD_MONTH_RULES,
    CONSENT_RULES,
    INQUIRY_RULES,
    INVOICE_RULES,
    LEARNED,
    LOAN_RULES,
    OUTCOME_RULES,
    PAYMENT_RULES,
    TRADELINE_MONTH_RULES,
    TRADELINE_RULES,
    TRANSACTION_RULES,
    known_within,
    not_before,
)
from data_contracts.uses import APPLICANT, BUREAU, BUSINESS, CONSUMPTION, DECISION_POINTS, OUTCOME, OWN_CARD, REPAYMENT

PRODUCTS = ("emergency_cash", "renovation", "education", "business", "cash", "consumer", "revolving", "other")
TRADELINE_KINDS = ("mortgage", "car", "card", "consumer", "cash", "business", "microloan", "other")

_FEN_HIGH = 1e13  # 100 billion CNY: beyond it an amount is a fault of the feed, not a customer


def _text(
    name: str, meaning: str, *, nullable: bool = False, categories: tuple[str, ...] = (), protected: bool = False
) -> Column:
    return Column(name, "string", meaning, nullable=nullable, categories=categories, protected=protected)


def _fen(name: str, meaning: str, *, nullable: bool = False, low: float = 0) -> Column:
    return Column(name, "int64", meaning, unit="fen", nullable=nullable, low=low, high=_FEN_HIGH)


def _count(name: str, meaning: str, *, nullable: bool = False, unit: str = "count", high: float = 1e6) -> Column:
    return Column(name, "int64", meaning, unit=unit, nullable=nullable, low=0, high=high)


def _number(
    name: str, meaning: str, *, unit: str, low: float | None = None, high: float | None = None, protected: bool = False
) -> Column:
    return Column(name, "float64", meaning, unit=unit, nullable=True, low=low, high=high, protected=protected)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, "bool", meaning, nullable=True)


def _time(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, "timestamp", meaning, nullable=nullable)


def _event(occurred: str) -> tuple[Column, Column, Column]:
    return (
        _text("customer_id", "Whose record it is"),
        _time("occurred_at", occurred),
        _time("known_at", "When the lender learned the record"),
    )


APPLICATIONS = Table(
    "applications",
    "What is decided upon: who asks for which loan, when, and what was declared",
    (
        _text("application_id", "The application"),
        _text("customer_id", "Who applies"),
        _time("applied_at", "The moment of decision, `as_of`"),
        _text("product", "What is asked for", categories=PRODUCTS),
        _fen("amount_requested", "Amount asked for", nullable=True),
        _count("term_months", "Term asked for", nullable=True, unit="months", high=600),
        _text("channel", "Where the application came from", nullable=True),
        _text("device_id", "Pseudonym of the device it was sent from", nullable=True),
        _count("device_customers", "Customers seen on that device so far, this one included", nullable=True),
        _fen("instalment_monthly", "Monthly instalment of the loan asked for", nullable=True),
        _fen("goods_price", "Price of what is bought with the loan", nullable=True),
        _fen("income_monthly", "Declared income a month", nullable=True),
        _number("age_years", "Age at application", unit="years", low=16, high=110, protected=True),
        _text("gender", "Gender", nullable=True, categories=("female", "male", "other"), protected=True),
        _text(
            "marital_status",
            "Marital status",
            nullable=True,
            categories=("single", "married", "cohabiting", "separated", "widowed", "unknown"),
            protected=True,
        ),
        _count("children_count", "Children in the household", nullable=True, high=50),
        _count("household_size", "Persons in the household", nullable=True, high=60),
        _count("dependents_count", "Persons who live on the applicant's income", nullable=True, high=60),
        _text(
            "education",
            "Highest education",
            nullable=True,
            categories=("lower_secondary", "secondary", "vocational", "bachelor", "postgraduate", "unknown"),
        ),
        _text(
            "housing",
            "How the applicant lives",
            nullable=True,
            categories=("own", "mortgaged", "rented", "parents", "employer", "municipal", "other"),
        ),
        _text(
            "employment",
            "Kind of employment",
            nullable=True,
            categories=(
                "employee",
                "public",
                "self_employed",
                "business_owner",
                "pensioner",
                "student",
                "unemployed",
                "other",
            ),
        ),
        _text("occupation", "Occupation", nullable=True),
        _text("industry", "Industry of the employer", nullable=True),
        _number("employed_months", "Time in the present employment", unit="months", low=0, high=900),
        _count("city_tier", "City tier, 1 the largest", nullable=True, unit="tier", high=6),
        _count("region_rating", "Lender's risk rating of the region, 1 the best", nullable=True, unit="rating", high=9),
        _number("region_density", "Normalised population density of the region", unit="ratio", low=0, high=1),
        _flag("owns_car", "Owns a car"),
        _number("car_age_years", "Age of the car", unit="years", low=0, high=150),
        _flag("owns_home", "Owns a home"),
        _flag("works_elsewhere", "Works in another city than that of residence"),
        _flag("lives_elsewhere", "Lives in another city than that of registration"),
        _flag("has_work_phone", "Gave a work telephone"),
        _flag("has_email", "Gave an e-mail address"),
        _count("documents_provided", "Documents handed in", nullable=True, high=100),
        _flag("identity_document_provided", "Handed in the main identity document"),
        _number("identity_age_days", "Days since the identity document was changed", unit="days", low=0, high=40000),
        _number("registration_age_days", "Days since the registration was changed", unit="days", low=0, high=40000),
        _number("phone_age_days", "Days since the telephone was changed", unit="days", low=0, high=40000),
        _number("external_score_1", "Normalised score of a first outside source", unit="ratio", low=0, high=1),
        _number("external_score_2", "Normalised score of a second outside source", unit="ratio", low=0, high=1),
        _number("external_score_3", "Normalised score of a third outside source", unit="ratio", low=0, high=1),
        _count("circle_observed_30d", "Observable acquaintances, 30 days past due", nullable=True),
        _count("circle_defaults_30d", "Acquaintances who were 30 days past due", nullable=True),
        _count("circle_defaults_60d", "Acquaintances who were 60 days past due", nullable=True),
        _count("bureau_queries_week", "Bureau's own count of queries in a week", nullable=True),
        _count("bureau_queries_month", "Bureau's own count of queries in a month", nullable=True),
        _count("bureau_queries_quarter", "Bureau's own count of queries in a quarter", nullable=True),
        _count("bureau_queries_year", "Bureau's own count of queries in a year", nullable=True),
        _number(
            "bureau_utilisation", "Share used of all revolving limits, by the bureau", unit="ratio", low=0, high=10
        ),
        _fen("debt_monthly", "Monthly debt service and costs", nullable=True),
        _number("debt_ratio", "Monthly debt service and costs to monthly income", unit="ratio", low=0, high=1000),
        _count("bureau_late_30_59", "Times 30 to 59 days past due in two years, by the bureau", nullable=True, high=90),
        _count("bureau_late_60_89", "Times 60 to 89 days past due in two years, by the bureau", nullable=True, high=90),
        _count("bureau_late_90", "Times 90 days past due or more, by the bureau", nullable=True, high=90),
        _count("bureau_accounts_open", "Open loans and credit lines, by the bureau", nullable=True, high=1000),
        _count("bureau_mortgages", "Mortgages and loans on real estate, by the bureau", nullable=True, high=1000),
        _number("dwelling_area", "Normalised area of the dwelling", unit="ratio", low=0, high=1),
        _number("dwelling_floors", "Normalised floors of the building", unit="ratio", low=0, high=1),
        _number("dwelling_age", "Normalised year of construction", unit="ratio", low=0, high=1),
    ),
    key=("application_id",),
    use=APPLICANT,
    rules=APPLICATION_RULES,
    profiled=("applied_at", "product", "channel", "amount_requested", "income_monthly", "external_score_1"),
)

TRADELINES = Table(
    "tradelines",
    "Accounts at other lenders, as the credit bureau reports them; a later report replaces an earlier one",
    (
        _text("tradeline_id", "The account"),
        *_event("When the account was opened"),
        _text("kind", "Kind of credit", categories=TRADELINE_KINDS),
        _text("status", "State at the report", categories=("active", "closed", "sold", "bad")),
        _time("closed_at", "When it was closed", nullable=True),
        _time("due_at", "When it is to end by contract", nullable=True),
        _fen("amount", "Amount granted", nullable=True),
        _fen("credit_limit", "Credit limit", nullable=True, low=-_FEN_HIGH),
        _fen("balance", "Debt outstanding at the report", nullable=True, low=-_FEN_HIGH),
        _fen("instalment_monthly", "Monthly instalment", nullable=True),
        _fen("overdue_amount", "Overdue at the report", nullable=True),
        _fen("overdue_amount_max", "Highest overdue so far", nullable=True),
        _count("overdue_days", "Days past due at the report", nullable=True, unit="days", high=20000),
        _count("prolonged_count", "Times prolonged", nullable=True, high=1000),
    ),
    key=("tradeline_id",),
    use=BUREAU,
    fresh_days=400,
    rules=TRADELINE_RULES,
    profiled=("kind", "status", "amount", "credit_limit", "balance", "overdue_days"),
)

TRADELINE_MONTHS = Table(
    "tradeline_months",
    "Monthly state of an account at another lender",
    (
        _text("tradeline_id", "The account"),
        *_event("End of the month reported"),
        _text("status", "State in that month", categories=("open", "closed", "unknown")),
        _count("overdue_bucket", "0 none, 1 to 30 days: 1, ... over 120 days or written off: 5", nullable=True, high=5),
        _fen("balance", "Debt outstanding", nullable=True),
    ),
    key=("tradeline_id", "occurred_at"),
    use=BUREAU,
    foreign_keys=(ForeignKey(("tradeline_id",), "tradelines"),),
    fresh_days=400,
    rules=TRADELINE_MONTH_RULES,
    profiled=("overdue_bucket", "balance"),
)

INQUIRIES = Table(
    "inquiries",
    "Who asked the credit bureau about the customer, when, why",
    (
        _text("inquiry_id", "The inquiry"),
        *_event("When it was asked"),
        _text(
            "reason",
            "Why it was asked",
            categories=("loan_approval", "card_approval", "post_loan", "guarantee", "self", "other"),
        ),
        _text("institution_kind", "Who asked", categories=("bank", "consumer_finance", "microloan", "other")),
        _text("institution", "Pseudonym of the institution", nullable=True),
    ),
    key=("inquiry_id",),
    use=BUREAU,
    fresh_days=120,
    rules=INQUIRY_RULES,
    profiled=("occurred_at", "reason", "institution_kind"),
)

TRANSACTION_CATEGORIES = (
    "salary",
    "transfer",
    "groceries",
    "dining",
    "transport",
    "housing",
    "utilities",
    "telecom",
    "shopping",
    "travel",
    "health",
    "education",
    "entertainment",
    "gambling",
    "cash_advance",
    "loan_repayment",
    "loan_drawdown",
    "business",
    "fees",
    "refund",
    "other",
)

TRANSACTIONS = Table(
    "transactions",
    "Consumption and income on the customer's account",
    (
        _text("transaction_id", "The transaction"),
        *_event("When it happened"),
        _fen("amount", "Amount, always positive", low=1),
        _text("direction", "Money in or out", categories=("in", "out")),
        _text("category", "What for", categories=TRANSACTION_CATEGORIES),
        _text("channel", "How", categories=("pos", "online", "transfer", "atm", "direct_debit", "other")),
        _text(
            "counterparty_kind", "With whom", categories=("merchant", "person", "employer", "lender", "state", "other")
        ),
    ),
    key=("transaction_id",),
    use=CONSUMPTION,
    fresh_days=60,
    rules=TRANSACTION_RULES,
    profiled=("occurred_at", "amount", "direction", "category", "channel"),
)

LOANS = Table(
    "loans",
    "Earlier loans and requests for loans at this lender; a later state replaces an earlier one",
    (
        _text("loan_id", "The loan"),
        *_event("When it was decided"),
        _text("application_id", "The application it came from", nullable=True),
        _text("product", "What was asked for", categories=PRODUCTS),
        _text("status", "Its state", categories=("granted", "refused", "cancelled", "unused", "closed")),
        _fen("amount_requested", "Amount asked for", nullable=True),
        _fen("principal", "Amount granted", nullable=True),
        _fen("down_payment", "Paid by the customer at the start", nullable=True, low=-_FEN_HIGH),
        _fen("instalment_monthly", "Monthly instalment", nullable=True),
        _count("term_months", "Term", nullable=True, unit="months", high=600),
        _number("annual_rate", "Interest a year", unit="ratio", low=0, high=10),
        _time("closed_at", "When it was repaid", nullable=True),
    ),
    key=("loan_id",),
    use=REPAYMENT,
    rules=LOAN_RULES,
    profiled=("product", "principal"),
)

LOAN_MONTHS = Table(
    "loan_months",
    "Monthly state of a loan at this lender",
    (
        _text("loan_id", "The loan"),
        *_event("End of the month"),
        _text("status", "State in that month", categories=("active", "closed", "signed", "other")),
        _count("instalments_left", "Instalments still to come", nullable=True, high=1000),
        _count("dpd", "Days past due", nullable=True, unit="days", high=20000),
    ),
    key=("loan_id", "occurred_at"),
    use=REPAYMENT,
    rules=(LEARNED, known_within(75)),
    profiled=("status", "dpd"),
)

INSTALMENTS = Table(
    "instalments",
    "What is due on loans at this lender",
    (
        _text("instalment_id", "The instalment"),
        _text("loan_id", "The loan"),
        *_event("When it was scheduled"),
        _time("due_at", "When it is due"),
        _count("number", "Its place in the schedule", high=10000),
        _fen("amount_due", "Amount due"),
    ),
    key=("instalment_id",),
    use=REPAYMENT,
    foreign_keys=(ForeignKey(("loan_id",), "loans"),),
    rules=(LEARNED, not_before("due_at", "occurred_at")),
    profiled=("amount_due",),
)

PAYMENTS = Table(
    "payments",
    "What was paid on loans at this lender",
    (
        _text("payment_id", "The payment"),
        _text("loan_id", "The loan"),
        _text("instalment_id", "The instalment it settles", nullable=True),
        *_event("When it was paid"),
        _fen("amount", "Amount paid"),
    ),
    key=("payment_id",),
    use=REPAYMENT,
    foreign_keys=(ForeignKey(("loan_id",), "loans"), ForeignKey(("instalment_id",), "instalments")),
    rules=PAYMENT_RULES,
    profiled=("occurred_at", "amount"),
)

CARD_MONTHS = Table(
    "card_months",
    "Monthly statements of the customer's card at this lender",
    (
        _text("card_id", "The card"),
        *_event("Date of the statement"),
        _fen("credit_limit", "Credit limit", nullable=True),
        _fen("balance", "Debt on the statement", nullable=True, low=-_FEN_HIGH),
        _fen("minimum_due", "Least amount to be paid", nullable=True),
        _fen("paid", "Paid in the month", nullable=True),
        _fen("drawn", "Drawn in the month", nullable=True, low=-_FEN_HIGH),
        _fen("drawn_cash", "Drawn as cash in the month", nullable=True, low=-_FEN_HIGH),
        _count("drawings", "Number of drawings", nullable=True),
        _count("drawings_cash", "Number of cash drawings", nullable=True),
        _count("dpd", "Days past due", nullable=True, unit="days", high=20000),
        _text(
            "status",
            "How the month ended: no debt, paid in full, debt carried on, or 30 days past due or more",
            nullable=True,
            categories=("unused", "paid_in_full", "carried", "late"),
        ),
    ),
    key=("card_id", "occurred_at"),
    use=OWN_CARD,
    fresh_days=400,
    rules=CARD_MONTH_RULES,
    profiled=("credit_limit", "balance", "drawn"),
)

INVOICES = Table(
    "invoices",
    "Sales and purchases of the customer's business, as its tax invoices tell",
    (
        _text("invoice_id", "The invoice"),
        *_event("Date of the invoice"),
        _text("direction", "Whether the business sold or bought", categories=("sale", "purchase")),
        _text("status", "Whether it counts", categories=("valid", "void")),
        _fen("amount", "Amount before tax; negative where goods came back", low=-_FEN_HIGH),
        _fen("tax", "Value-added tax", nullable=True, low=-_FEN_HIGH),
        _text("counterparty_id", "Pseudonym of the other business", nullable=True),
    ),
    key=("invoice_id",),
    use=BUSINESS,
    fresh_days=400,
    rules=INVOICE_RULES,
    profiled=("direction", "status", "amount"),
)

CONSENTS = Table(
    "consents",
    "What a customer agreed that records may be used for; a withdrawal comes as a correction with its `expires_at`",
    (
        _text("consent_id", "The consent"),
        *_event("When it was given"),
        _text("provider", "Whose records", categories=("bureau", "consumption", "repayment", "business")),
        _text("decision_point", "What they may decide", categories=DECISION_POINTS),
        _time("expires_at", "When it ends", nullable=True),
    ),
    key=("consent_id",),
    use=APPLICANT,
    rules=CONSENT_RULES,
)

OUTCOMES = Table(
    "outcomes",
    "How a loan went: what a target is computed from, never a feature",
    (
        _text("application_id", "The application that was granted"),
        *_event("End of the month on book"),
        _count("months_on_book", "Months since the loan was drawn", nullable=True, unit="months", high=600),
        _count("dpd_max", "Highest days past due so far", nullable=True, unit="days", high=20000),
        Column("defaulted", "bool", "The lender's own label, where it gives no days past due", nullable=True),
    ),
    key=("application_id", "occurred_at"),
    use=OUTCOME,
    foreign_keys=(ForeignKey(("application_id",), "applications"),),
    rules=OUTCOME_RULES,
)

EVENT_TABLES: tuple[Table, ...] = (
    TRADELINES,
    TRADELINE_MONTHS,
    INQUIRIES,
    TRANSACTIONS,
    CARD_MONTHS,
    LOANS,
    LOAN_MONTHS,
    INSTALMENTS,
    PAYMENTS,
    INVOICES,
)
TABLES: dict[str, Table] = {table.name: table for table in (APPLICATIONS, *EVENT_TABLES, CONSENTS, OUTCOMES)}
