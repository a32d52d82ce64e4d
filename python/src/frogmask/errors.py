"""The errors of frogmask: each is one line that names the file, the tensor, and what to do.

The kinds and exit statuses are those of frog-mpi (docs/reference/exit-statuses.md).
"""


class FrogmaskError(Exception):
    """What is wrong with what the user gave; never a bug of the package itself."""

    exit_status = 65


class UsageError(FrogmaskError):
    """Something was asked for that does not go together."""

    exit_status = 64


class MissingError(FrogmaskError):
    """A file or folder that should be there is not."""

    exit_status = 66


class FormatError(FrogmaskError):
    """A file does not hold what its format promises."""


class MatchError(FrogmaskError):
    """Masks or patches do not fit the model or the checkpoint."""


class ConversionError(FrogmaskError):
    """Another library's format cannot hold the kept weights."""


class WriteError(FrogmaskError):
    """A file could not be written."""

    exit_status = 74
