"""What is not planned from words: another agent's work, data work that this version has no operation for, and what no sentence may start.

The agents are those that the data engineer's role description sends work to. Each entry is a document beside the operations, so that
'deploy the database' is weighed against 'back up the database' and not decided by a list of keywords. The guards at the end come first.
"""

from __future__ import annotations

import re

from datareeve.agent.bm25 import Document

AGENT = "agent:"
LATER = "later:"

_AGENTS = {
    "Engineer": (
        "write application business logic",
        "user interface code: a React login page, a form, a button, CSS, HTML, frontend component, mobile app screen",
        "build a web page in React, Vue or Angular",
        "implement the checkout feature in the application code",
        "fix the bug in the login controller",
        "write a REST endpoint, a GraphQL resolver, a Python function, a script, a class",
        "refactor the service code",
        "add a dark mode to the website",
        "design a logo, a landing page, the user experience",
    ),
    "Documentation": (
        "write user documentation for the API",
        "write a user guide, a tutorial, a manual, a README, a changelog, release notes, a blog post, help pages",
        "create data documentation for end users",
        "update the wiki, translate the docs",
    ),
    "QA": (
        "test data integrity only",
        "write unit tests, integration tests, end to end tests, regression tests, test cases",
        "run the test suite and fix failing tests",
        "load test the web site",
        "test plan and test coverage for the application",
    ),
    "Research": (
        "research database options",
        "compare PostgreSQL with MySQL or MongoDB and recommend one",
        "investigate which vendor, product, library or technology to choose",
        "evaluate alternatives, market survey, write a comparison study",
    ),
    "Ops": (
        "deploy the database to Kubernetes",
        "deployment configs: Helm chart, Terraform, Docker image, docker compose, Ansible playbook, CI/CD pipeline on GitHub Actions or Jenkins",
        "provision servers, virtual machines, EC2 instances, RDS, cloud infrastructure, networking, load balancer, DNS, TLS certificates",
        "deploy to production, staging, roll out a release, upgrade the operating system, install Linux packages",
        "scale the cluster, configure nginx, set up a VPN, firewall",
    ),
    "Security": (
        "data security policies",
        "penetration test, vulnerability scan, security audit, threat model",
        "define access control policy, password policy, single sign-on, OAuth, encryption policy",
        "rotate TLS certificates, review firewall rules, respond to an intrusion",
    ),
    "Architect": (
        "design data architecture",
        "design the overall system architecture, microservices, domain model, event driven architecture",
        "decide between a monolith and microservices",
        "write an architecture decision record, technology roadmap",
    ),
    "Version Control": (
        "version control of migrations",
        "merge the branch, rebase, resolve merge conflicts, cherry-pick, tag a release",
        "open a pull request, commit and push, git repository, git history, create a branch",
    ),
}
_REASONS = {
    "Engineer": "application business logic and user interface code",
    "Documentation": "documentation for people other than those who run the database",
    "QA": "testing for its own sake",
    "Research": "researching and comparing options",
    "Ops": "deployment and its configuration",
    "Security": "security policies",
    "Architect": "designing the architecture",
    "Version Control": "version control of migrations and code",
}
_LATER = {  # by the capability that will do it: what a person would say
    "ai": (
        "fine-tune a model, train our own model, host a model on our GPUs",
        "build retrieval augmented generation, a vector database, semantic search over documents",
        "write prompts, evaluate prompts, build an AI assistant",
    ),
    "pipelines": (
        "design ETL and ELT pipelines, data pipeline, ingest, load CSV files into the warehouse, sync Salesforce",
        "implement real-time streaming, Kafka, change data capture, CDC, events",
        "schedule batch processing jobs, Airflow DAG, dbt models, Spark job",
        "monitor pipeline health, pipeline failures, backfill",
        "migrate data from MySQL to PostgreSQL, move data between databases, copy tables, import, export",
    ),
    "quality": (
        "mask personal data in a table, dynamic data masking, tokenize and pseudonymize columns",
        "generate synthetic test data",
        "master data management, golden record, entity resolution, standardise addresses",
    ),
    "storage": (
        "file storage systems, object storage, S3 buckets, lifecycle rules",
        "cache management, Redis, eviction",
        "archive strategies, archive old rows, data retention, compression of cold data",
    ),
    "analytics": (
        "set up data warehouse, star schema, dimensional model, facts and dimensions",
        "configure analytics platform, BI tool, Metabase, Looker",
        "create automated reports, build data dashboards, charts, define key metrics, KPI, revenue by month",
    ),
    "databases": (
        "replication setup, streaming replica, standby, read replicas, high availability, failover of the database",
        "sharding strategies, shard, partition large tables, partitioning",
        "write a schema migration, alter column type, rename a column, add a column, new table",
        "vacuum, analyze, autovacuum, reduce bloat, reindex",
        "upgrade PostgreSQL to a new major version, pg_upgrade",
        "database roles, grants, users, row level security, permissions, audit log",
    ),
}
UNFINISHED = {"databases", "ai", "quality"}
_LATER_TITLES = {
    "ai": "further work with AI models",
    "pipelines": "data pipelines",
    "quality": "further work on data quality",
    "storage": "storage management",
    "analytics": "analytics",
    "databases": "further database work",
}


def documents(operations: tuple[str, ...]) -> dict[str, Document]:
    """Other agents' work, and ours of later: a later capability's entry goes when the catalogue has an operation of it.

    Those of `UNFINISHED` stay: they list what the capability does not do yet.
    """
    present = {name.partition(".")[0] for name in operations} - UNFINISHED
    entries = {AGENT + name: said for name, said in _AGENTS.items()}
    entries |= {LATER + name: said for name, said in _LATER.items() if name not in present}
    return {key: Document(key=key, utterances=said) for key, said in entries.items()}


def agent_of(key: str) -> str:
    """The agent's name of an `agent:` key, '' of any other."""
    return key.removeprefix(AGENT) if key.startswith(AGENT) else ""


def why_another(agent: str) -> str:
    """One sentence: whose work it is, and why."""
    return f"This is the {agent} Agent's work: {_REASONS[agent]}."


def why_later(key: str) -> str:
    """One sentence for data work that nothing can do yet."""
    title = _LATER_TITLES[key.removeprefix(LATER)]
    return f"This is within a data engineer's work ({title}), but this version has no operation for it."


def title_of(key: str) -> str:
    """What a reading is called where it is offered to a person."""
    return (
        f"{agent_of(key)} Agent's work"
        if agent_of(key)
        else f"{_LATER_TITLES[key.removeprefix(LATER)]} (not in this version)"
    )


_DESTROYS = re.compile(
    r"(?<!accidental )(?<!from a )(?<!after a )\b(?:drop|delete|truncate|wipe|erase|purge|destroy|remove|clear|empty|nuke|overwrite|reset)\b"
    r"(?:\s+(?!index|constraint)[\w.*'\"-]+){0,4}?\s+(?:tables?|databases?|schemas?|data|rows?|records?|everything|users?|customers?|"
    r"orders?|accounts?|columns?|backups?|wal|archives?|logs?|views?|histor\w+|contents?)\b"
    r"|\b(?:drop|truncate)\s+(?!(?:the\s+|an?\s+|any\s+|all\s+|some\s+)?(?:[\w-]+\s+){0,3}(?:index|indexes|indices|constraints?)\b)\S"
    r"|\bdelete\s+from\b|\brm\s+-|\bflush(?:all|db)\b",
    re.IGNORECASE,
)
_FORBIDS = re.compile(
    r"\b(?:do not|don['\u2019]?t|never|must ?n[o'\u2019]t|should ?n[o'\u2019]t|(?:must|should|may) not)\b|^\s*avoid\b",
    re.IGNORECASE,
)
_COMMANDS_US = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:instruction|rule|polic|prompt|authorit|limit|guard|above|previous)"
    r"|\bsystem prompt\b|\byou are (?:now|no longer)\b|\bact as\b|\bpretend\b|<\s*/?\s*(?:system|user|assistant|instructions?|tool)\b"
    r"|\b(?:approve|authori[sz]e|confirm)\b.{0,30}\b(?:itself|yourself|automatically|everything|all plans?|this plan|own)\b"
    r"|\b(?:without|skip(?:ping)?|bypass(?:ing)?|disable)\b.{0,20}\b(?:approvals?|asking|permission|confirmation|authority|checks?|verification|rehearsal|ledger)\b"
    r"|\b(?:reveal|print|show|send|post|upload|exfiltrate|leak|email)\b.{0,40}\b(?:passwords?|secrets?|credentials?|(?:api|secret|private|access) keys?|environment variables?|estate\.yaml)\b"
    r"|\bas (?:root|superuser|admin(?:istrator)?)\b",
    re.IGNORECASE,
)


DESTROYS = "This would destroy data, which is never planned from words. To do it, run the statement yourself, after a backup."


def guard(text: str) -> str:
    """Why nothing of these words may be planned, whatever else they say; '' where nothing stands against it."""
    if _COMMANDS_US.search(text):
        return "This gives orders to the program (rules, approvals, secrets) and is no data work; nothing of it is planned."
    if _DESTROYS.search(text):
        return DESTROYS
    if _FORBIDS.search(text):
        return "This says what is not to be done. Forbid it in estate.yaml under authority.rules (decision: never); nothing is planned."
    return ""
