"""Every error that Outgrow raises on purpose.

OutgrowError
├── AppError                      the app cannot be found, loaded or started
│   ├── AppMissingError           OG101
│   ├── ModuleMissingError        OG102
│   ├── AttributeMissingError     OG103
│   ├── ImportFailedError         OG104
│   ├── InterfaceError            OG105
│   ├── FactoryFailedError        OG106
│   ├── StartupFailedError        OG107
│   ├── StartupTimeoutError       OG108
│   ├── HookFailedError           OG109
│   └── WorkerDiedError           OG110
├── SettingError                  a setting is wrong
│   ├── UnknownSettingError       OG301
│   ├── SettingValueError         OG302
│   └── SettingsFileError         OG303
└── RunError                      the machine or another process is in the way
    ├── AddressInUseError         OG401
    ├── AddressError              OG402
    ├── AlreadyRunningError       OG403
    ├── NotRunningError           OG404
    ├── RefusedError              OG405
    ├── FolderError               OG406
    ├── PlatformError             OG407
    └── PackageMissingError       OG408

Each has a stable code, never given to another error, and a hint: one thing to do. Each class has
its page in `docs/errors`, made from the texts here.
"""

__all__ = [
    "AddressError",
    "AddressInUseError",
    "AlreadyRunningError",
    "AppError",
    "AppMissingError",
    "AttributeMissingError",
    "FactoryFailedError",
    "FolderError",
    "HookFailedError",
    "ImportFailedError",
    "InterfaceError",
    "ModuleMissingError",
    "NotRunningError",
    "OutgrowError",
    "PackageMissingError",
    "PlatformError",
    "RefusedError",
    "RunError",
    "SettingError",
    "SettingValueError",
    "SettingsFileError",
    "StartupFailedError",
    "StartupTimeoutError",
    "UnknownSettingError",
    "WorkerDiedError",
    "error_from",
]


class OutgrowError(Exception):
    """What went wrong, with which thing, and one thing to do.

    Attributes:
        code: Stable name of this kind of error, such as `OG102`.
        text: What happened, naming the thing; may have several lines.
        hint: One thing to do; may be empty where nothing can be done.
    """

    code = "OG000"
    hint = ""

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        shown = f"{self.code}: {self.text}"
        return f"{shown}\n\nhint: {self.hint}" if self.hint else shown


class AppError(OutgrowError):
    """The app cannot be found, loaded or started."""


class AppMissingError(AppError):
    """No app was named, neither on the command line nor in a settings file."""

    code = "OG101"
    hint = (
        'Name it: `outgrow run main:app`, or write `app = "main:app"` under [run] in outgrow.toml'
    )


class ModuleMissingError(AppError):
    """The module that should hold the app does not exist where Python looks."""

    code = "OG102"
    hint = "Run in the folder that holds the module, or name that folder: `--app-dir FOLDER`"


class AttributeMissingError(AppError):
    """The module was imported, but has no such name in it."""

    code = "OG103"
    hint = "Name the attribute that holds the app: `outgrow run MODULE:NAME`"


class ImportFailedError(AppError):
    """Importing the app's module raised an exception."""

    code = "OG104"
    hint = "Mend the line above, and try it alone: `python -c 'import MODULE'`"


class InterfaceError(AppError):
    """What the import string names is no app, or could be of several kinds."""

    code = "OG105"
    hint = "Say which it is: `--interface asgi3`, `asgi2` or `wsgi`; for a factory add `--factory`"


class FactoryFailedError(AppError):
    """The app factory raised an exception."""

    code = "OG106"
    hint = "Mend the line above; a factory is called without arguments"


class StartupFailedError(AppError):
    """The app's lifespan start-up raised an exception or reported failure."""

    code = "OG107"
    hint = "Mend the line above; `--lifespan off` starts the app without its start-up code"


class StartupTimeoutError(AppError):
    """The app did not finish its lifespan start-up in time."""

    code = "OG108"
    hint = "See the line where it waits; a slow start may need `--startup-seconds 300`"


class HookFailedError(AppError):
    """A hook around fork or exit cannot be found or raised an exception."""

    code = "OG109"
    hint = "A hook is `module:function`, called with the worker's name"


class WorkerDiedError(AppError):
    """A worker's process ended while it started, before it could say why."""

    code = "OG110"
    hint = "See its last output above; a missing library or too little memory are usual causes"


class SettingError(OutgrowError):
    """A setting is wrong."""


class UnknownSettingError(SettingError):
    """A settings file or the environment has a name that is no setting."""

    code = "OG301"
    hint = "All settings: `outgrow run --explain`"


class SettingValueError(SettingError):
    """A setting has a value that it cannot take."""

    code = "OG302"
    hint = "All settings and their values: `outgrow run --help`"


class SettingsFileError(SettingError):
    """A settings file cannot be read or is not valid TOML."""

    code = "OG303"
    hint = "Mend the line that is named"


class RunError(OutgrowError):
    """The machine or another process is in the way."""


class AddressInUseError(RunError):
    """Another process listens on this address already."""

    code = "OG401"
    hint = "Stop that process, or take another port: `--port 8001` (`--port 0` takes any free one)"


class AddressError(RunError):
    """This address cannot be listened on."""

    code = "OG402"
    hint = "Use an address of this machine: 127.0.0.1 for this machine alone, 0.0.0.0 for all"


class AlreadyRunningError(RunError):
    """Another supervisor runs in this folder."""

    code = "OG403"
    hint = "Look at it with `outgrow status`, or give the second app its own `--folder FOLDER`"


class NotRunningError(RunError):
    """No supervisor runs in this folder."""

    code = "OG404"
    hint = "Start one with `outgrow run`, or name the folder it runs in: `--folder FOLDER`"


class RefusedError(RunError):
    """The supervisor understood what it was asked for, and cannot do it."""

    code = "OG405"


class FolderError(RunError):
    """The folder for Outgrow's state cannot be used."""

    code = "OG406"
    hint = "Name a folder on a local disk that you own: `--folder FOLDER`"


class PlatformError(RunError):
    """This needs something that the operating system does not offer."""

    code = "OG407"
    hint = "Production is Linux; macOS serves for development"


class PackageMissingError(RunError):
    """A package is needed that is not installed."""

    code = "OG408"


def error_from(code: str, text: str, hint: str) -> OutgrowError:
    """The error with this code, as another process reported it; plain where the code is unknown."""
    waiting: list[type[OutgrowError]] = [OutgrowError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind(text, hint=hint)
        waiting.extend(kind.__subclasses__())
    return OutgrowError(text, hint=hint)
