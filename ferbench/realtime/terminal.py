"""The state of a live run on a terminal: what it says of the faces, how fast, how old, what was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferbench.realtime.results import STAGES

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

    from ferbench.realtime.frames import Source
    from ferbench.realtime.results import FaceResult, FrameResult
    from ferbench.realtime.runner import LiveSummary

__all__ = ["LiveView", "live_view"]

_REFRESH_HZ = 8
_MOST_FACES = 4
_BAR = 20


class LiveView:
    """A few lines on a terminal that always tell the newest state; nothing where standard error is a file.

    Parameters
    ----------
    console : rich.console.Console
        Of standard error.
    source : Source
        Asked for its troubles between frames too.
    intro : sequence of str
        Told on either, once, with the first frame: only then is every mistake in the arguments behind us.
    """

    def __init__(self, console: Console, source: Source, intro: tuple[str, ...] = ()) -> None:
        from rich.live import Live

        self._console, self._source, self._intro = console, source, intro
        self._result: FrameResult | None = None
        self.summary: LiveSummary | None = None
        self._live = (
            Live(
                get_renderable=self._render,
                console=console,
                transient=True,
                refresh_per_second=_REFRESH_HZ,
                redirect_stdout=False,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, result: FrameResult, summary: LiveSummary) -> None:
        """Take one more frame; the terminal follows some times a second."""
        for line in self._intro:
            self._console.print(line, markup=False, soft_wrap=True)
        self._intro, self._result, self.summary = (), result, summary

    def _render(self) -> Group | Text:
        from rich.text import Text

        if self._result is None or self.summary is None:
            return Text(self._source.trouble or f"waiting for {self._source.name}", style="dim")
        return live_view(self._result, self.summary, self._source.trouble)


def live_view(result: FrameResult, summary: LiveSummary, trouble: str = "") -> Group:
    """The lines of a frame: pace and losses, milliseconds by stage, a line a face."""
    from rich.console import Group
    from rich.text import Text

    fps = summary.recent_fps
    pace = Text(no_wrap=True, overflow="ellipsis")
    pace.append(f"{fps:6.1f} fps" if fps is not None else "     – fps", style="bold")
    if summary.ages_ms:
        pace.append(f"   shown after {summary.ages_ms[-1]:.0f} ms", style="dim")
    pace.append(f"   frame {result.frame}", style="dim")
    if summary.dropped:
        pace.append(f"   {summary.dropped} dropped", style="yellow")
    if summary.unreadable:
        pace.append(f"   {summary.unreadable} unreadable", style="red")
    stages = "  ".join(f"{name} {result.times_ms[name]:.1f}" for name in STAGES if name in result.times_ms)
    lines = [pace, Text(f"ms {stages}", style="dim", no_wrap=True, overflow="ellipsis")]
    lines += [_face_line(face) for face in result.faces[:_MOST_FACES]]
    if not result.faces:
        lines.append(Text("        no face", style="dim"))
    if len(result.faces) > _MOST_FACES:
        lines.append(Text(f"        and {len(result.faces) - _MOST_FACES} more faces", style="dim"))
    if trouble:
        lines.append(Text(trouble, style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _face_line(face: FaceResult) -> Text:
    from rich.text import Text

    from ferbench.realtime.overlay import label_colour

    red, green, blue = label_colour(face.label)
    colour = f"rgb({red},{green},{blue})"
    filled = round(_BAR * face.probability)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{face.track:6}  ", style="dim")
    line.append(f"{face.label:9}{int(face.probability * 100 + 1e-6):4} %  ", style=colour)
    line.append("━" * filled, style=colour)
    line.append("─" * (_BAR - filled), style="bright_black")  # thinner, for terminals without colours
    return line
