"""What a Kubernetes object is, as pure functions: schemas, defaults, validation, quantities,
selectors, identity, patches, structured merge with managed fields."""

from trimtab.objects.crd import NotStructural, crd_versions, structural_schema
from trimtab.objects.defaults import apply_defaults, default_by_schema
from trimtab.objects.identity import (
    GVK,
    GroupKind,
    ObjectKey,
    api_version,
    gvk_of,
    key_of,
    split_api_version,
)
from trimtab.objects.normalise import fold_string_data, normalise
from trimtab.objects.quantity import InvalidQuantity
from trimtab.objects.quantity import canonical as canonical_quantity
from trimtab.objects.quantity import compare as compare_quantities
from trimtab.objects.quantity import parse as parse_quantity
from trimtab.objects.rules import (
    CompiledRule,
    InvalidRule,
    RuleEngine,
    RuleFailed,
    Rules,
    UnsupportedRule,
    compile_rules,
)
from trimtab.objects.schema import MISSING, UNTYPED, Schema
from trimtab.objects.schemas import SchemaSet, UnknownMinor
from trimtab.objects.selectors import (
    FieldSelector,
    InvalidSelector,
    Selector,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
)
from trimtab.objects.strict import prune, unknown_fields
from trimtab.objects.validation import FieldError, unenforced_rules, validate

__all__ = [
    "GVK",
    "MISSING",
    "UNTYPED",
    "CompiledRule",
    "FieldError",
    "FieldSelector",
    "GroupKind",
    "InvalidQuantity",
    "InvalidRule",
    "InvalidSelector",
    "NotStructural",
    "ObjectKey",
    "RuleEngine",
    "RuleFailed",
    "Rules",
    "Schema",
    "SchemaSet",
    "Selector",
    "UnknownMinor",
    "UnsupportedRule",
    "api_version",
    "apply_defaults",
    "canonical_quantity",
    "compare_quantities",
    "compile_rules",
    "crd_versions",
    "default_by_schema",
    "fold_string_data",
    "from_label_selector",
    "gvk_of",
    "key_of",
    "normalise",
    "parse_field_selector",
    "parse_label_selector",
    "parse_quantity",
    "prune",
    "split_api_version",
    "structural_schema",
    "unenforced_rules",
    "unknown_fields",
    "validate",
]
