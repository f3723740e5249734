"""Which section answers to which rule. Clauses are numbered where the number is certain, otherwise named by subject."""

from __future__ import annotations

from dataclasses import dataclass

from reporting.page import Text


@dataclass(frozen=True)
class Clause:
    """What several rules ask of one subject, and the sections that answer.

    Parameters
    ----------
    sections : tuple of str
        Their ids.
    asked : dict of str to Text
        By key of `LAWS`, what that rule asks; a rule that asks nothing of the subject is absent.
    """

    sections: tuple[str, ...]
    asked: dict[str, Text]


LAWS: dict[str, Text] = {
    "loans": Text(
        "《商业银行互联网贷款管理暂行办法》（原银保监会令2020年第9号）第三章“风险数据和风险模型管理”",
        "Interim Measures for the Administration of Internet Loans of Commercial Banks (2020), chapter 3: risk data "
        "and risk models",
    ),
    "algorithms": Text(
        "JR/T 0221—2021《人工智能算法金融应用评价规范》",
        "JR/T 0221-2021, evaluation specification of artificial intelligence algorithms in financial application",
    ),
    "persons": Text(
        "《个人信息保护法》第二十四条（自动化决策）",
        "Personal Information Protection Law, Article 24: automated decisions",
    ),
    "banks": Text(
        "SR 26-2（2026年4月17日，取代SR 11-7）：美国模型风险管理监管指引",
        "SR 26-2 (17 April 2026, supersedes SR 11-7): supervisory guidance on model risk management",
    ),
}

CLAUSES: tuple[Clause, ...] = (
    Clause(
        ("data",),
        {
            "loans": Text(
                "风险数据的来源（合法、已获授权）、使用、保管与质量",
                "source (lawful, authorised), use, safekeeping and quality of risk data",
            ),
            "algorithms": Text("6.4 算法可追溯性：训练数据", "6.4 traceability: training data"),
            "banks": Text("模型开发：数据质量与适用性", "development: quality and relevance of data"),
        },
    ),
    Clause(
        ("identity", "findings", "limitations"),
        {
            "loans": Text(
                "风险模型管理流程：开发、测试、评审、监测、优化、退出的职责",
                "process: who develops, tests, reviews, monitors, improves and withdraws a model",
            ),
            "algorithms": Text(
                "6.5 算法内控：上线前评审、退出处置", "6.5 internal control: review before use, withdrawal"
            ),
            "banks": Text(
                "治理与控制：职责、模型清单、使用限制", "governance and controls: roles, inventory, limits of use"
            ),
        },
    ),
    Clause(
        ("sample", "features", "method"),
        {
            "loans": Text(
                "风险模型开发：产品特点、目标客户、数据约束、建模方法",
                "development: product, customers, limits of the data, method",
            ),
            "algorithms": Text(
                "7.2 建模准备、7.3 建模过程；6.4 建模过程可追溯",
                "7.2 preparation and 7.3 course of modelling; 6.4 traceability of modelling",
            ),
            "banks": Text(
                "模型开发与使用：目的、方法、假设、备选", "development and use: purpose, method, alternatives"
            ),
        },
    ),
    Clause(
        ("discrimination", "calibration", "benchmark"),
        {
            "loans": Text("风险模型测试与评审", "testing and review"),
            "algorithms": Text("精准性评价", "evaluation of accuracy"),
            "banks": Text("模型验证：结果分析、基准比较", "validation: outcomes analysis, benchmarks"),
        },
    ),
    Clause(
        ("stability", "segments", "robustness", "reliability"),
        {
            "loans": Text("风险模型测试与监测", "testing and monitoring"),
            "algorithms": Text("精准性评价；6.2 常见攻击防范（对输入扰动的稳健性）", "accuracy; 6.2 perturbed input"),
            "banks": Text("模型验证：敏感性与局限", "validation: sensitivity and limits"),
        },
    ),
    Clause(
        ("global", "local", "additivity", "reasons"),
        {
            "algorithms": Text("7 可解释性评价", "7 explainability"),
            "persons": Text(
                "决策透明；个人有权要求说明，并有权拒绝仅由自动化决策作出的决定",
                "transparency; a person may ask for an explanation and refuse a decision made by automation alone",
            ),
            "banks": Text("模型验证：概念合理性", "validation: conceptual soundness"),
        },
    ),
    Clause(
        ("fairness", "features"),
        {
            "algorithms": Text("6.1 目标函数：不存在偏见歧视", "6.1 objective: free of bias"),
            "persons": Text(
                "结果公平、公正，不得实行不合理的差别待遇", "fair results, no unreasonable difference in treatment"
            ),
        },
    ),
    Clause(
        ("implementation",),
        {
            "algorithms": Text("6.4 算法部署可追溯；性能评价", "6.4 traceability of deployment; performance"),
            "banks": Text("模型实施与使用", "implementation and use"),
        },
    ),
    Clause(
        ("monitoring",),
        {
            "loans": Text("风险模型监测评估与退出", "monitoring, assessment and withdrawal"),
            "algorithms": Text("6.5 算法内控：日常监测", "6.5 internal control: monitoring"),
            "banks": Text("持续监控", "ongoing monitoring"),
        },
    ),
    Clause(
        ("hashes",),
        {
            "algorithms": Text(
                "6.3 算法依赖库；6.4 可追溯性：校验码、软硬件环境",
                "6.3 libraries; 6.4 traceability: check sums, environment",
            ),
            "banks": Text("文档", "documentation"),
        },
    ),
)
