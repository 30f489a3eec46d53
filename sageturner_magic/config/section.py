"""What all sections of a configuration have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of the configuration. Unknown keys are mistakes; nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    null_is_a_value: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _nothing_written_means_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        filled = {}
        for key, value in data.items():
            field = cls.model_fields.get(key)
            if value is not None or field is None or key in cls.null_is_a_value:
                filled[key] = value
            elif key in cls._sections():
                filled[key] = {}
            elif field.is_required():
                filled[key] = None
        return filled

    @classmethod
    def _sections(cls) -> frozenset[str]:
        """The keys that are sections themselves."""
        return frozenset(
            key
            for key, field in cls.model_fields.items()
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if isinstance(kind, type(Section)) and issubclass(kind, Section)
        )
