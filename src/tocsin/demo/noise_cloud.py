"""Everyday noise of mail, sign-in and cloud. One function, one episode."""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook
from tocsin.demo.noise_network import stranger
from tocsin.demo.organisation import BYSTANDERS, Person
from tocsin.demo.sensors import sentinel
from tocsin.ticks import MINUTE, SECOND

_SUBJECTS: Final = (
    ("Your parcel is waiting", "noreply@parcel-desk.example"),
    ("Mailbox almost full", "quota@webmail-service.example"),
    ("Voice message 0:41", "pbx@voice-relay.example"),
    ("Payment advice attached", "billing@harbourcranes.example"),
    ("Shared with you: price list", "share@docbox-mail.example"),
    ("Invitation: supplier survey", "survey@panelworks.example"),
    ("Your password expires today", "it-desk@accounts-check.example"),
    ("Scanned document", "scanner@copyshop-mail.example"),
)

# title | text | severity | tactic | technique | product
_SIGN_INS: Final = """
Unfamiliar sign-in properties|Browser and network are new for this account. The person was at a trade fair.|Low|InitialAccess|T1078.004|identity
Atypical travel|Two sign-ins are far apart. One came through the office's gateway.|Medium|InitialAccess|T1078.004|identity
Sign-in from an anonymous address|The address belongs to a consumer privacy service.|Medium|InitialAccess|T1090|identity
Password found in a public leak|The address and a password of this person stand in a leaked list of a sports shop.|Medium|CredentialAccess|T1589.001|identity
Several failed second factors|The person pressed the wrong number a few times.|Low|CredentialAccess|T1621|identity
Sign-in with an outdated protocol|An old phone still fetches mail with a protocol that knows no second factor.|Informational|DefenseEvasion|T1550|identity
"""  # noqa: E501
_CLOUD: Final = """
Mass deletion of files|A folder of an old project was emptied. The owner had announced it.|Low|Impact|T1485|cloud
File with card numbers shared outside|A travel expense sheet with a card number was sent to a supplier.|Medium|Exfiltration|T1567|data
Application never seen before connected|A calendar tool was given read rights for one calendar.|Low|Persistence|T1528|cloud
Administrator role given|A role was given for four hours, with an approval.|Medium|PrivilegeEscalation|T1098.003|rule
Unusual download from a library|A new colleague fetched the handbook and all its drawings.|Low|Collection|T1213.002|cloud
Mail rule moves messages to a folder|A rule files newsletters. It was made by the owner at the usual place.|Informational|DefenseEvasion|T1564.008|mail
Message with personal data sent outside|A list of names and dates of birth went to the travel agency.|Low|Exfiltration|T1048|data
Guest account invited by an unusual person|Somebody who never did so invited three guests to a team.|Low|Persistence|T1136.003|rule
"""  # noqa: E501


def _lines(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split("|")) for line in text.split("\n")[1:-1])


_SIGN_IN_KINDS: Final = _lines(_SIGN_INS)
_CLOUD_KINDS: Final = _lines(_CLOUD)


def risky_sign_in(log: Logbook, at: int, who: Person) -> None:
    """The sign-in of somebody who travels."""
    name, text, severity, tactic, technique, product = log.chance.choice(_SIGN_IN_KINDS)
    entity, where = sentinel.account(who), sentinel.address(stranger(log), log.chance.choice(("SE", "DE", "GB", "PL")))
    for _n in range(log.between(1, 3)):
        sentinel.report(log, at, product, name, text, severity, tactic, technique, entity, where)
        at += log.seconds(60, 300)


def cloud_habit(log: Logbook, at: int, who: Person) -> None:
    """Something in the cloud that a rule found worth a word."""
    name, text, severity, tactic, technique, product = log.chance.choice(_CLOUD_KINDS)
    for _n in range(log.between(1, 2)):
        sentinel.report(log, at, product, name, text, severity, tactic, technique, sentinel.account(who))
        at += log.seconds(90, 400)


def reported_mail(log: Logbook, at: int, who: Person) -> None:
    """A colleague reports a message; half of them are harmless."""
    subject, sender = log.chance.choice(_SUBJECTS)
    message = sentinel.mail(
        f"{log.fresh(12)}@{sender.partition('@')[2]}", sender, who, subject, sender_ip=stranger(log)
    )
    sentinel.report(
        log, at, "mail", "Message reported by its reader as phishing",
        f"{who.name} reported the message '{subject}'.", "Low", "InitialAccess", "T1566", message,
        sentinel.mailbox(who),
    )  # fmt: skip
    if log.between(0, 1):
        sentinel.report(
            log, at + 6 * MINUTE, "mail", "Message taken back after delivery",
            "The filter learnt that the message was bad and took it out of the inbox.",
            "Informational", "InitialAccess", "T1566.002", message, sentinel.mailbox(who),
        )  # fmt: skip


def junk_campaign(log: Logbook, at: int, who: Person) -> None:
    """The same bad message to several people, all caught."""
    subject, sender = log.chance.choice(_SUBJECTS)
    domain, source = f"{log.fresh(6)}.{sender.partition('@')[2]}", stranger(log)
    link = f"https://{domain}/d/{log.fresh(8)}"
    message_id = f"{log.fresh(12)}@{domain}"
    others = [who, *log.chance.sample(BYSTANDERS, log.between(2, 5))]
    for number, to in enumerate(others):
        message = sentinel.mail(
            message_id, f"news@{domain}", to, subject, sender_ip=source, link=link, action="Blocked"
        )
        sentinel.report(
            log, at + number * 15 * SECOND, "mail", "Malicious message kept out",
            f"A message for {to.name} with a link to a page that loads malware was put into quarantine.",
            "Informational", "InitialAccess", "T1566.002", message, sentinel.url(link),
        )  # fmt: skip


EPISODES: Final = (
    (risky_sign_in, 10, "office"), (cloud_habit, 9, "office"), (reported_mail, 9, "office"),
    (junk_campaign, 6, "office"),
)  # fmt: skip
"""(episode, how many in two weeks, when it happens)."""
