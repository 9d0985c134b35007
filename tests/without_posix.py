"""Imports every module of Pixlate's, and collects every test, in a Python that lacks what Windows lacks; other packages are imported before, for they ask for the system."""

import os
import pkgutil
import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = ("curses", "fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
OF_OS = (
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "PRIO_PROCESS", "ST_RDONLY", "WNOHANG"),
    *("chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getgid", "getloadavg", "getpgid", "getpriority", "killpg", "memfd_create", "mkfifo", "nice"),
    *(
        "posix_fadvise",
        "posix_fallocate",
        "pread",
        "pwrite",
        "sched_getaffinity",
        "sched_setaffinity",
        "sendfile",
        "setpgid",
        "setpriority",
        "setsid",
        "statvfs",
    ),
    *("sysconf",),
)
OF_SIGNAL = (
    *(
        "ITIMER_REAL",
        "SIGALRM",
        "SIGCHLD",
        "SIGCONT",
        "SIGHUP",
        "SIGKILL",
        "SIGPIPE",
        "SIGQUIT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGXCPU",
        "SIGXFSZ",
    ),
    *("SIG_BLOCK", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait"),
)


def modules() -> list[str]:
    """Return the names of all modules of Pixlate's but those that run when they are imported."""
    packages = [path.parent for shelf in ("translate", "plugins", "export") for path in sorted((ROOT / shelf).glob("*/__init__.py"))]
    inner = [found.name for package in packages for found in pkgutil.walk_packages([str(package)], f"{package.name}.")]
    return [*(package.name for package in packages), *(name for name in inner if not name.endswith("__main__"))]


def main() -> int:
    """Return pytest's exit code, 0 where every module and every file of tests can be imported."""
    warnings.simplefilter("ignore")
    names = modules()
    for name in names:
        import_module(name)
    for name in [name for name in sys.modules if name.startswith("pixlate")]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(MODULES))  # type: ignore[arg-type]  # None is what makes their import fail
    for owner, missing in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in missing:
            if hasattr(owner, name):
                delattr(owner, name)
    for name in names:
        import_module(name)
    print(f"{len(names)} modules were imported", flush=True)
    return int(pytest.main(["--collect-only", "--quiet", "-n0", "-p", "no:cacheprovider", "-W", "ignore", str(ROOT / "tests")]))


if __name__ == "__main__":
    sys.exit(main())
