"""What all plots share: the figure, its heading, its axes, and the PNG. matplotlib is imported when one is drawn."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from configs.problems import ConfigError

from .colours import INK, PALE, RULE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 160
_LEFT, _TITLE_INCHES, _SUBTITLE_INCHES = 0.022, 0.32, 0.62


def new_figure(width_inches: float, height_inches: float, **options: Any) -> "Figure":
    """Return an empty figure; `options` are those of matplotlib's Figure.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("matplotlib is not installed\nhelp: pip install matplotlib, or leave out --report") from error
    size: dict[str, Any] = {"figsize": (width_inches, height_inches), "dpi": _DOTS_PER_INCH}
    figure = Figure(**{**size, "facecolor": "white", **options})
    FigureCanvasAgg(figure)
    return figure


def heading(figure: "Figure", title: str, subtitle: str, top_inches: float | None = None) -> None:
    """Write a title and a sentence below `top_inches`, by default below the figure's upper edge."""
    height = figure.get_figheight()
    top = height if top_inches is None else top_inches
    title_y, subtitle_y = ((top - below) / height for below in (_TITLE_INCHES, _SUBTITLE_INCHES))
    figure.text(_LEFT, title_y, title, fontsize=15, fontweight="bold", color=INK, va="center")
    figure.text(_LEFT, subtitle_y, subtitle, fontsize=9.5, color=PALE, va="center", wrap=True)


def frame(axes: "Axes", title: str, x_label: str = "", unit: str = "") -> None:
    """Give axes a pale grid and no border. `unit` stands before the numbers of the vertical axis."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_title(title, loc="left", color=PALE, fontsize=9.5)
    axes.set_xlabel(x_label, color=PALE, fontsize=9.5)
    for axis, before in ((axes.xaxis, ""), (axes.yaxis, unit)):
        axis.set_major_formatter(FuncFormatter(lambda value, _, before=before: f"{before}{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="major", color=RULE, linewidth=0.8)
    axes.tick_params(which="both", colors=PALE, labelsize=9, length=0)
    axes.spines[:].set_visible(False)


def png(figure: "Figure") -> bytes:
    """Return the figure as a PNG. The same figure gives the same bytes: no version of matplotlib is in them."""
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
