"""A contract for import-linter: a room's modules are imported from outside by its face alone."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class FaceContract(Contract):
    """A module is imported by its own package; others import the package, which offers names.

    The modules at the root of the package have no face: they are the ground that all stand on.
    """

    type_name = "faces"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports that pass a face by."""
        broken = []
        for module in sorted(graph.modules):
            package, _, name = module.rpartition(".")
            if "." not in package or graph.find_children(module) or name == "__main__":
                continue
            for importer in sorted(graph.find_modules_that_directly_import(module)):
                if importer != package and not importer.startswith(f"{package}."):
                    (first, *_) = graph.get_import_details(importer=importer, imported=module)
                    broken.append(f"{importer} -> {module} (l. {first['line_number']})")
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports with what to import in their place."""
        for line in check.metadata["broken"]:
            output.print_error(line)
        output.print_error("Import the name from the package that holds the module; see its face.")
