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
├── ServiceError                  a service is declared or used in a way that cannot work
│   ├── NotAServiceError          OG201
│   ├── FieldTypeError            OG202
│   ├── SignatureError            OG203
│   ├── NotAnOperationError       OG204
│   ├── CycleError                OG205
│   ├── ProviderMissingError      OG206
│   ├── EnvironmentVariableError  OG207
│   ├── ServiceStartError         OG208
│   ├── WrongCallError            OG209
│   ├── FakeError                 OG210
│   ├── NameTakenError            OG211
│   ├── BlockingCallError         OG221
│   └── NarrowingError            OG222
├── SettingError                  a setting is wrong
│   ├── UnknownSettingError       OG301
│   ├── SettingValueError         OG302
│   └── SettingsFileError         OG303
├── RunError                      the machine or another process is in the way
│   ├── AddressInUseError         OG401
│   ├── AddressError              OG402
│   ├── AlreadyRunningError       OG403
│   ├── NotRunningError           OG404
│   ├── RefusedError              OG405
│   ├── FolderError               OG406
│   ├── PlatformError             OG407
│   └── PackageMissingError       OG408
├── CallError                     a call got no answer, as it can between machines
│   ├── UnavailableError          OG501
│   ├── DeadlineExceededError     OG502, a TimeoutError as well
│   ├── OverloadedError           OG503
│   ├── RemoteError               OG504
│   └── ValueMismatchError        OG505, a TypeError as well
└── DatabaseError                 a service's database cannot be used so
    ├── DatabaseUrlError          OG601
    ├── DatabaseUnreachableError  OG602
    ├── WriteTurnError            OG603
    ├── ReadOnlyError             OG604
    └── MigrationError            OG605

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
    "BlockingCallError",
    "CallError",
    "CycleError",
    "DatabaseError",
    "DatabaseUnreachableError",
    "DatabaseUrlError",
    "DeadlineExceededError",
    "EnvironmentVariableError",
    "FactoryFailedError",
    "FakeError",
    "FieldTypeError",
    "FolderError",
    "HookFailedError",
    "ImportFailedError",
    "InterfaceError",
    "MigrationError",
    "ModuleMissingError",
    "NameTakenError",
    "NarrowingError",
    "NotAServiceError",
    "NotAnOperationError",
    "NotRunningError",
    "OutgrowError",
    "OverloadedError",
    "PackageMissingError",
    "PlatformError",
    "ProviderMissingError",
    "ReadOnlyError",
    "RefusedError",
    "RemoteError",
    "RunError",
    "ServiceError",
    "ServiceStartError",
    "SettingError",
    "SettingValueError",
    "SettingsFileError",
    "SignatureError",
    "StartupFailedError",
    "StartupTimeoutError",
    "UnavailableError",
    "UnknownSettingError",
    "ValueMismatchError",
    "WorkerDiedError",
    "WriteTurnError",
    "WrongCallError",
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


class ServiceError(OutgrowError):
    """A service is declared or used in a way that cannot work."""


class NotAServiceError(ServiceError):
    """A class is used as a service, but is none."""

    code = "OG201"
    hint = "Write `@service` above the class"


class FieldTypeError(ServiceError):
    """The type of a service's field cannot be found when the program runs."""

    code = "OG202"
    hint = "Import the type for real, not under `if TYPE_CHECKING:`"


class SignatureError(ServiceError):
    """The signature of an operation cannot cross from one process to another."""

    code = "OG203"
    hint = "Give every parameter and the result a type that is plain data"


class NotAnOperationError(ServiceError, AttributeError):
    """A client was asked for something that is no operation of its service."""

    code = "OG204"
    hint = "Mark it with `@operation`"


class CycleError(ServiceError):
    """Services call one another in a circle."""

    code = "OG205"
    hint = "Break the circle: let one of them publish an event, or move the shared part out"


class ProviderMissingError(ServiceError):
    """A field of a service is no service, and nothing says how to make its value."""

    code = "OG206"
    hint = "Write a function that returns one, with `@provides` above it"


class EnvironmentVariableError(ServiceError):
    """An environment variable that a service needs is missing or has a wrong value."""

    code = "OG207"
    hint = "Set the variable, or give the field a default: `from_env(DEFAULT)`"


class ServiceStartError(ServiceError):
    """A provider or a start hook of a service raised an exception."""

    code = "OG208"
    hint = "Mend the line above"


class WrongCallError(ServiceError):
    """An operation was called in a way that would block, or never run."""

    code = "OG209"
    hint = "In async code: `await call(prices.quote, ...)`; in sync code: `wait(orders.place(...))`"


class FakeError(ServiceError):
    """A fake of a service does not fit the service."""

    code = "OG210"
    hint = "Give it the names and parameters of the service's own operations"


class NameTakenError(ServiceError):
    """Two services of an app have the same name."""

    code = "OG211"
    hint = 'Give one of them another: `@service(name="...")`'


class BlockingCallError(ServiceError):
    """An async operation makes a call that stops its whole event loop."""

    code = "OG221"
    hint = "Make the operation a `def`, which runs in a thread, or await an async call instead"


class NarrowingError(ServiceError):
    """A value of this type comes out of a call different from how it went in."""

    code = "OG222"
    hint = "Use the type that arrives, so that nobody relies on what is lost"


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


class CallError(OutgrowError):
    """A call got no answer, as it can between machines."""


class UnavailableError(CallError):
    """The service cannot be reached, or was lost while it ran.

    Attributes:
        may_have_run: Whether the operation may have run all the same. Then only an idempotent one
            should be called again.
    """

    code = "OG501"

    def __init__(self, text: str, *, hint: str | None = None, may_have_run: bool = True) -> None:
        super().__init__(text, hint=hint)
        self.may_have_run = may_have_run


class DeadlineExceededError(CallError, TimeoutError):
    """The deadline of a call passed before its answer came; it may have run."""

    code = "OG502"
    hint = "Give the call more time with `deadline(SECONDS)`, or find what is slow"


class OverloadedError(CallError):
    """A service has as many calls to answer as it may, and refused this one or one that it made.

    Attributes:
        retry_after_seconds: When another try has a chance.
        may_have_run: Whether it had begun, and a call that it made itself was refused.
    """

    code = "OG503"
    may_have_run = False
    hint = "Try again later; more room: `@service(concurrent_calls_max=...)`, or more replicas"

    def __init__(
        self, text: str, *, hint: str | None = None, retry_after_seconds: float = 1.0
    ) -> None:
        super().__init__(text, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class RemoteError(CallError):
    """An operation raised an exception whose class its caller cannot import."""

    code = "OG504"
    hint = "Define the exception at the top of a module that both sides import"


class ValueMismatchError(CallError, TypeError):
    """An argument or a result is not of the type that its operation declares."""

    code = "OG505"
    hint = "Pass what the signature says, or widen the signature"


class DatabaseError(OutgrowError):
    """A service's database cannot be used so."""


class DatabaseUrlError(DatabaseError):
    """The URL of a database is not understood."""

    code = "OG601"
    hint = "Write it as `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`"


class DatabaseUnreachableError(DatabaseError):
    """A database cannot be opened."""

    code = "OG602"
    hint = "Start it, or correct the URL"


class WriteTurnError(DatabaseError):
    """A task did not get its turn to write to SQLite in time."""

    code = "OG603"
    hint = "Keep `begin()` blocks short: no calls to others inside"


class ReadOnlyError(DatabaseError):
    """A session that only reads was asked to write."""

    code = "OG604"
    hint = "Write in `async with self.db.begin() as session:`"


class MigrationError(DatabaseError):
    """The tables of a database could not be brought to the version that the code needs."""

    code = "OG605"
    hint = "Mend the migration that is named"


def error_from(code: str, text: str, hint: str) -> OutgrowError:
    """The error with this code, as another process reported it; plain where the code is unknown."""
    waiting: list[type[OutgrowError]] = [OutgrowError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind(text, hint=hint)
        waiting.extend(kind.__subclasses__())
    return OutgrowError(text, hint=hint)
