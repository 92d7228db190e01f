"""The chart of the table."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "pat_tokens"

from matplotlib import pyplot as plt  # noqa: E402 -- after the choice of how to draw

from benchmarks.timing import Spread  # noqa: E402

OURS, OTHERS = "#2563eb", "#94a3b8"


def draw(ratios: dict[str, dict[str, Spread]], path: Path) -> None:
    """Draw one bar for each candidate and database; `ratios` is CPU in multiples of an anonymous request."""
    figure, axes = plt.subplots(1, len(ratios), figsize=(10, 3.8), sharey=True, squeeze=False)
    for axis, (database, spreads) in zip(axes[0], ratios.items(), strict=True):
        names = list(spreads)
        medians = [spreads[name].median for name in names]
        errors = [
            [spreads[name].median - spreads[name].low for name in names],
            [spreads[name].high - spreads[name].median for name in names],
        ]
        colors = [OURS if name.startswith("pat_tokens") else OTHERS for name in names]
        axis.barh(names, medians, xerr=errors, color=colors, ecolor="#475569", capsize=2)
        axis.invert_yaxis()
        axis.axvline(1, color="#475569", linewidth=0.8, linestyle=":")
        axis.set_title(database)
        axis.set_xlabel("CPU, in anonymous DRF requests")
        for place, median in enumerate(medians):
            axis.text(median, place - 0.33, f" {median:.2f}", va="center", fontsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
