"""Names that every organisation has: they say little about who did what, so they weigh little as evidence.

Kept small and general on purpose; what is common in one place only is learnt from how many devices and
incidents it is seen in (`memory.EntityMemory`). All texts are lower case.
"""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ABSENT: Final = frozenset({"", "-", "--", "n/a", "na", "null", "none", "unknown", "undefined", "(null)", "?"})

ACCOUNTS: Final = _names(
    """
    admin administrator administrateur administrador amministratore administratör järjestelmänvalvoja
    guest gast invité root toor user test support default defaultaccount defaultuser0 wdagutilityaccount krbtgt
    system local_system localsystem système sistema
    service nobody daemon bin sys sync www-data apache nginx http postgres mysql mongodb redis oracle sshd ftp mail
    ubuntu ec2-user centos debian vagrant ansible docker jenkins git
    sa postmaster
    """
) | {
    "local service", "network service", "localservice", "networkservice", "anonymous logon", "anonymous",
    "local system", "iusr", "everyone", "nt authority", "système local", "lokaler dienst", "netzwerkdienst",
    "service réseau",
}  # fmt: skip

ACCOUNT_PREFIXES: Final = ("dwm-", "umfd-", "font driver host", "window manager", "msol_", "healthmailbox")

SIDS: Final = frozenset({"s-1-0-0", "s-1-1-0", "s-1-5-7", "s-1-5-11", "s-1-5-18", "s-1-5-19", "s-1-5-20"})

LOGON_SESSIONS: Final = frozenset({"0x0", "0x3e3", "0x3e4", "0x3e5", "0x3e6", "0x3e7", "0", "996", "997", "998", "999"})
"""Windows' fixed logon ids: SYSTEM, LOCAL SERVICE, NETWORK SERVICE, IUSR and anonymous logons."""

HOST_LABELS: Final = frozenset(
    {"localhost", "www", "mail", "smtp", "ns1", "ns2", "vpn", "ftp", "host", "server", "ip6-localhost"}
)

SYSTEM_FOLDERS: Final = (
    "\\windows\\", "\\program files\\", "\\program files (x86)\\", "\\programdata\\microsoft\\",
    "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/system/library/",
)  # fmt: skip
"""Beginnings of paths after the drive letter."""

OPEN_FOLDERS: Final = ("\\windows\\temp\\", "\\windows\\tasks\\", "\\windows\\debug\\", "\\windows\\tracing\\")
"""Parts of system folders that any user can write to: what lies there is no system file."""

SERVICES: Final = frozenset({"winrm", "schedule", "bits", "wuauserv", "spooler", "eventlog", "windefend", "psexesvc"})

PIPES: Final = _names(
    """lsass samr srvsvc netlogon svcctl atsvc wkssvc spoolss epmapper eventlog ntsvcs winreg lsarpc browser
    initshutdown trkwks scerpc"""
)

SHARES: Final = frozenset({"ipc$", "admin$", "c$", "sysvol", "netlogon", "print$", "d$"})
