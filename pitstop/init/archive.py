"""A TorchServe archive: `pitstop export --mar` brings it into the folder, and its args are what is written."""

import io
from pathlib import Path

import yaml
from rich.console import Console

from configs.parse import parse_model
from models.signature import listed
from models.sources import source
from models.startup.prepare import freeze_in_eval

from ..export.mar_import import LOST, bring, module_of
from ..export.options import ExportOptions
from .draft import Draft, Kind
from .options import InitOptions
from .run import row_sizes, run


def draft(name: str, path: Path, options: InitOptions, folder: Path, final: Path) -> Draft:
    """Import the archive; its hooks and its settings come with it. Raise ModelError where it cannot be imported.

    Its code is a package, so `final`, where the folder will be, must be one that can be imported too.
    """
    module_of(final)
    config = folder / "imported.yaml"
    order = ExportOptions(
        folder,
        mar=path,
        name=name,
        kwargs=tuple(options.arguments),
        inputs=tuple(options.inputs),
        yaml=config,
        force=True,
    )
    lost = bring(order, Console(file=io.StringIO(), soft_wrap=True))
    app = yaml.safe_load(config.read_text(encoding="utf-8"))["applications"][-1]
    config.unlink()
    args, [deployment] = app["args"], app["deployments"]
    model = parse_model(args, str(path))
    whole = run(model, freeze_in_eval(source.load(model.source)))
    more = {key: value for key, value in deployment.items() if key not in ("name", "max_ongoing_requests")}
    kind: Kind = "picture" if model.predict.decode else "tensors"
    return Draft(
        name, (args,), kind, listed(whole.outputs), tuple(f"{LOST}: {each}" for each in lost), more, row_sizes(whole)
    )
