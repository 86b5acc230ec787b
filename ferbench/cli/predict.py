"""Name the expressions in photographs, folders (with their subfolders) and clips.

  ferbench predict photo.jpg
  ferbench predict holiday/ clip.mp4 --csv faces.csv --annotate annotated/

Prints a table, unless --csv or --jsonl goes to standard output. A file that cannot be read, or has no face under
--on-no-face raise, is named on stderr, and the others are done; the exit code is then 1, or 2 if all failed.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ferbench.cli.live import add_stream_options, load_stream_pipeline, print_written
from ferbench.cli.tables import check_picture_folder, check_table, make_picture_folder
from ferbench.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ferbench.realtime.loop import LivePipeline
    from ferbench.realtime.results import FrameResult
    from ferbench.realtime.sinks import Sink
    from ferbench.realtime.smoothing import Smoothing

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench predict``."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image, video, or folder of them")
    add_stream_options(parser)
    parser.add_argument("--annotate", metavar="FOLDER", help="write each picture and clip with the results drawn in")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench predict``; 1 if some files failed, 2 if all did."""
    from ferbench.realtime.runner import refuse_overwriting
    from ferbench.realtime.smoothing import parse_smoothing

    smoothing = parse_smoothing(args.smooth)
    _check(args)
    jobs, missing = _find_jobs(args.paths, Path(args.annotate) if args.annotate is not None else None)
    for job in jobs:
        refuse_overwriting(job.path, [args.csv, args.jsonl])
    failed = [_complain(message) for message in missing]
    if not jobs:
        return 2
    pipeline, intro = load_stream_pipeline(args)
    if args.annotate is not None:
        make_picture_folder(args.annotate)
    for line in intro:
        print(line, file=sys.stderr)
    failed += _predict_all(args, pipeline, smoothing, jobs)
    for path in (args.csv, args.jsonl):
        if path not in (None, "-"):
            print_written(path)
    total = len(missing) + len(jobs)
    if failed:
        print(f"{len(failed)} of {total} failed", file=sys.stderr)
    return 0 if not failed else 1 if len(failed) < total else 2


def _check(args: argparse.Namespace) -> None:
    """Refuse before any work what cannot be done."""
    from ferbench.realtime.finding import check_detect_every

    check_detect_every(args.detect_every)
    for table in (args.csv, args.jsonl):
        check_table(table)
    if args.annotate is None:
        return
    check_picture_folder(args.annotate)
    place = Path(args.annotate).resolve()
    folders = [Path(text).resolve() for text in args.paths if Path(text).is_dir()]
    if any(folder.is_relative_to(place) for folder in folders):
        raise ParameterError(
            "annotated pictures would be read by the next command",
            got=f"--annotate {args.annotate}, a folder that is read, or one above it",
            expected="another folder",
            fix=f"--annotate {Path(args.annotate) / 'annotated'} is left out when the folder is read",
        )


def _predict_all(args: argparse.Namespace, pipeline: LivePipeline, smoothing: Smoothing, jobs: list[_Job]) -> list[str]:
    """Predict file after file; what failed. Who ends it before is told how far it came."""
    from ferbench.errors import DataError, NoFaceError, SourceError
    from ferbench.realtime.sinks import open_tables
    from ferbench.realtime.table import TextTable

    failed: list[str] = []
    done, job = 0, jobs[0]
    try:
        with ExitStack() as stack:
            sinks: list[Sink] = [
                stack.enter_context(table) for table in open_tables(pipeline.labels, csv=args.csv, jsonl=args.jsonl)
            ]
            if "-" not in (args.csv, args.jsonl):
                sinks.append(stack.enter_context(TextTable()))
            predictor = _Predictor(pipeline, smoothing, args, sinks, [job.path for job in jobs])
            for job in jobs:
                try:
                    predictor.predict(job)
                    done += 1
                except (DataError, NoFaceError, SourceError) as error:
                    failed.append(_complain(error))
    except (KeyboardInterrupt, OSError) as error:
        _tell_stop(args, done, len(jobs), job, is_reader_gone=isinstance(error, BrokenPipeError))
        raise
    return failed


def _tell_stop(args: argparse.Namespace, done: int, total: int, job: _Job, *, is_reader_gone: bool) -> None:
    """Tell on stderr what is in the tables; a reader of the printed one who left has seen enough."""
    tables = [path for path in (args.csv, args.jsonl) if path not in (None, "-")]
    if is_reader_gone and not tables:
        return
    where = f"in {' and '.join(tables)}" if tables else "done"
    rest = f", and {job.path} as far as it came" if job.is_video else ""
    print(f"\nstopped: {done} of {total} files are {where}{rest}", file=sys.stderr)


def _complain(failure: object) -> str:
    """Name what failed, one line, at once."""
    print(f"ferbench: error: {failure}", file=sys.stderr)
    return str(failure)


class _Job:
    """One file to predict, and where under the folder of annotated files its picture goes."""

    def __init__(self, path: Path, place: Path, is_video: bool) -> None:
        self.path, self.place, self.is_video = path, place, is_video


def _find_jobs(paths: list[str], annotate: Path | None) -> tuple[list[_Job], list[str]]:
    """The files behind the arguments, and a message for each argument that is none.

    What an earlier command annotated into a folder below one of the arguments is not predicted again.
    """
    from ferbench.datasets.decode import is_image_name
    from ferbench.realtime.sources import VIDEO_SUFFIXES, missing_file, natural_order

    jobs: list[_Job] = []
    failures: list[str] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            files = [p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")]
            if annotate is not None:
                files = [p for p in files if not p.resolve().is_relative_to(annotate.resolve())]
            found = [p for p in files if is_image_name(p.name) or p.suffix.lower() in VIDEO_SUFFIXES]
            jobs += [
                _Job(p, p.relative_to(path), p.suffix.lower() in VIDEO_SUFFIXES)
                for p in sorted(found, key=natural_order)
            ]
            if not found:
                failures.append(f"no image or video in {path}")
        elif path.exists():
            jobs.append(_Job(path, Path(path.name), path.suffix.lower() in VIDEO_SUFFIXES))
        else:
            failures.append(str(missing_file(path)))
    return jobs, failures


class _Predictor:
    """Predicts file after file into the same tables."""

    def __init__(
        self,
        pipeline: LivePipeline,
        smoothing: Smoothing,
        args: argparse.Namespace,
        sinks: list[Sink],
        inputs: list[Path],
    ) -> None:
        self._pipeline, self._smoothing, self._sinks = pipeline, smoothing, sinks
        self._detect_every: int = args.detect_every
        self._annotate: Path | None = Path(args.annotate) if args.annotate is not None else None
        # A picture annotated into its own folder must not replace the original.
        self._taken = {path.resolve() for path in inputs}
        self._originals = {path.parent for path in self._taken}

    def predict(self, job: _Job) -> None:
        """Predict one file.

        Raises
        ------
        DataError, SourceError
            If it cannot be read.
        NoFaceError
            If a picture has none, and that was to be an error.
        """
        if job.is_video:
            self._predict_video(job)
        else:
            self._predict_image(job)

    def _predict_image(self, job: _Job) -> None:
        from ferbench.datasets.decode import read_image
        from ferbench.realtime.frames import Frame
        from ferbench.realtime.loop import FrameProcessor
        from ferbench.realtime.overlay import draw_overlay

        image = read_image(job.path)
        # A processor for each picture: faces of different photographs have nothing to do with each other.
        processor = FrameProcessor(self._pipeline, smooth="none")
        result = processor.process(Frame(0, None, image, str(job.path)))
        self._write(result)
        if self._annotate is not None:
            _save_png(self._free_path(self._annotate / job.place.with_suffix(".png")), draw_overlay(result))

    def _predict_video(self, job: _Job) -> None:
        from ferbench.realtime.loop import stream
        from ferbench.realtime.overlay import draw_overlay
        from ferbench.realtime.sinks import VideoSink

        with ExitStack() as stack:
            results = stack.enter_context(
                stream(job.path, self._pipeline, self._smoothing, detect_every=self._detect_every)
            )
            film = None
            if self._annotate is not None:
                path = self._free_path(self._annotate / job.place.with_suffix(".mp4"))
                film = VideoSink(path, results.source.fps or 25.0)
                stack.enter_context(film)
            for result in results:
                self._write(result)
                if film is not None:
                    film.write(draw_overlay(result), result.t_ms)
            if n := results.source.unreadable:
                print(f"{job.path}: {n} frame{'s' * (n != 1)} could not be decoded", file=sys.stderr)

    def _write(self, result: FrameResult) -> None:
        for sink in self._sinks:
            sink.write(result)

    def _free_path(self, wanted: Path) -> Path:
        """The path, with a number where another picture of this run has it, or any picture among the originals."""
        path, number = wanted, 1
        while path.resolve() in self._taken or (path.parent.resolve() in self._originals and path.exists()):
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
        self._taken.add(path.resolve())
        return path


def _save_png(path: Path, image: NDArray[np.uint8]) -> None:
    from PIL import Image

    from ferbench.errors import SourceError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    except OSError as error:
        raise SourceError(f"cannot write {path}", got=error.strerror or error) from error
