"""Secrets known by their name: the key `db_password` in data, and `password=hunter2` in running text.

`KeyNames.secret` judges a key by its segments, so that `monkey`, `author`, `max_tokens` and `session_id` are
never harmed. `masked` finds `name=value`, `"name": "value"`, headers and `--name value` inside a text. It is
careful there: what reads like prose, a type, a placeholder or a variable (`the password is wrong`,
`token: str`, `password=$PW`, `api_key=config.key`) stays as it is. `may_hold` answers quickly for a whole
record of JSON text, and a no is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .secret_rules import Rules

__all__ = ["KeyNames", "MASK", "is_mask"]

MASK: Final = "[redacted]"

_KEY_LENGTH: Final = 256  # characters; a longer key is a text, not a name
_CACHE_SIZE: Final = 4096  # keys; a trace with more different ones (ids as keys) begins the cache anew
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_LOWER: Final = bytes(range(256)).lower()
_GLUED: Final = bytes(c for c in range(256) if _LOWER[c] not in _LETTERS)
_IN_NAME: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_SQUEEZED: Final = bytes(c for c in _GLUED if c not in b"=:")
_ASSIGNS: Final = _LOWER.replace(b":", b"=")
_FEW: Final = 10  # signs: from here on the way of many is the quicker one
_BEFORE: Final = 96  # characters: the longest name in a text, and the quotes and escapes after it

# The last segments of keys that tell about a secret without giving it away: `token_count`, `password_policy`.
_ABOUT: Final = frozenset(
    """count counts limit limits type types length len size name names path paths file filename files usage
    budget expiry expires expiration expired at in ttl age until policy policies enabled disabled required
    valid invalid present missing id ids url uri endpoint link page status state error errors index position
    offset strength field fields label prompt hint changed updated created rotated accepted consent consents
    banner settings preferences method provider scheme used remaining total cost price rate ratio per stats
    details ring issuer audience scope scopes source exists set verified version algorithm alg format is has
    manager attempts retries""".split()
)

# Expressions are text until they are needed: `re` keeps what it has compiled.
_WORDS: Final = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+"
_MASKED: Final = r"\[redacted(?::[\w .-]{1,40})?\]"
_ESCAPES: Final = r"\\{0,3}"  # text that was itself quoted before it came into the text

# A name, and what stands between it and its value. Each word is tried once, so it is linear.
_ASSIGNED: Final = (
    rf"(?<![\w.-])-{{0,2}}(?P<name>[A-Za-z_][\w.-]{{0,80}}){_ESCAPES}[\"']?"
    r"(?: ?: ?[A-Za-z][\w.|\[\]]{0,40} ?(?== ?[\"']))?"  # password: str = "…"
    rf"(?P<sep> {{0,2}}(?:=>|:=|=={{0,2}} {{0,2}}|=|:(?= |{_ESCAPES}[\"'])) {{0,2}})"
)
_FLAG: Final = r"--(?<![\w-]--)(?P<name>[A-Za-z][\w-]{0,60})(?P<sep> {1,4})(?=[^\s-])"
_QUOTED: Final = rf"(?P<quote>{_ESCAPES}[\"'])(?P<value>(?:(?!(?P=quote))\\?[^\n])+)"
_BARE: Final = r"(?P<value>(?:[^\s\"'&;,\\]|\\(?![nrt\"'\\]))+)"
_AFTER_VALUE: Final = ")]}>`:."
_SCHEME: Final = (
    r"(?P<value>(?i:(?:Basic|Bearer|Token|ApiKey|Api-Key|Negotiate|NTLM) +"
    r"(?!\[redacted)(?=[^\s\"']*\d|\S{16})[^\s\"',;\\]{4,}"
    r"|(?:Digest|AWS4-HMAC-SHA256|Hawk|OAuth) +[^\r\n\\=]{1,64}=[^\r\n\\]+))"
)
# The same in JSON text, for a quick yes or no: `bare` is a value to be judged, unless there is `more` of it.
_UNIT: Final = rb"(?:[^ \"'&;,\\]|\\[^nrtf\"])"
_RAW_VALUE: Final = (
    rb"(?:(?:: ?[A-Za-z][\w.|\[\]]{0,40} ?)?(?:=>|:=|={1,3}|:) {0,4}\\{0,16}[\"'](?!\\n)"
    rb"|=(?![=> ])(?P<bare>[^ \"'&;,\\]{0,200})(?P<more>" + _UNIT + rb")?"
    rb"|(?:=>|:=|={1,3}|:(?= )) {0,4}(?=" + _UNIT + rb"{6})" + _UNIT + rb"{0,63}?(?:[0-9]|\\[^nrtf\"])"
    rb"|: {1,4}(?:(?i:Basic|Bearer|Token|Api-?Key|Negotiate|NTLM|Digest|AWS4-HMAC-SHA256|Hawk|OAuth) "
    rb"|[^ =;:\"'\\]{1,256}=))"
)
_RAW_DASHES: Final = rb"--(?:([A-Za-z][A-Za-z0-9_-]{0,60})[ \"]|-+(BEGIN [A-Z0-9 ]{0,40}PRIVATE )?)"
_COOKIES: Final = r"(?P<value>[^\s=;:\"'\\]{1,256}=[^\r\n\"'\\]+)"

# What stands for a value, or says of what kind it is.
_STANDS_FOR: Final = (
    r"(?is)[\[{(<$%*].*|(?:basic|bearer)(?:%20)?[*x.\u2022\u2026_-]*|[*x.\u2022\u2026_-]+"
    r"|none|null|nil|true|false|undefined|str|string|int|integer|float"
    r"|number|bool|boolean|bytes|any|object|required|optional|hidden|secret|redacted|changeme"
)
_CODE: Final = r"(?s)[A-Za-z_][\w.]{0,200}[\[(].*|[A-Za-z_]+(?:\.[A-Za-z_]+)+"
_PROSE: Final = frozenset(
    """is are was were to for or and the a an in on of as by with from if not no can must may should will
    would has have does do flag option argument parameter value values instead when where which that this it
    but then so because be only""".split()
)


def is_mask(text: str) -> bool:
    """Whether *text* is one of our masks and nothing else."""
    return text.startswith("[redacted") and re.fullmatch(_MASKED, text) is not None


class KeyNames:
    """The key names of some rules, ready to be asked. Safe to share between threads: the cache only repeats
    what `secret` would say."""

    def __init__(self, rules: Rules) -> None:
        self.verdicts: dict[str, bool] = {}
        self._names = {"_".join(_segments(name)) for name in rules.names if not name.startswith("=")}
        self._whole = {"_".join(_segments(name)) for name in rules.names if name.startswith("=")}
        self._harmless = {"_".join(_segments(name)) for name in rules.harmless}
        for names in (self._names, self._whole, self._harmless):
            names |= {name.replace("_", "") for name in names}
        self._longest = max((name.count("_") + 1 for name in self._names | self._harmless), default=0)
        ends: tuple[bytes, ...] = ()
        for name in sorted((_glued(name) for name in self._names | self._whole if name.isascii()), key=len):
            if not name.endswith(ends):  # `db_password` ends in `password`
                ends += (name,)
        self._ends = ends
        self._tail = min((3, *map(len, ends)))
        self._tails = frozenset(name[-self._tail :] for name in ends)
        self._compiled: dict[str, re.Pattern[str]] = {}
        self._dashes = re.compile(_RAW_DASHES).finditer
        self._seps = re.compile("[=:]").finditer
        self._text_pairs = frozenset(_pairs([name.decode() for name in ends]))
        # In JSON text the quote of a text has a backslash; one that has none ends a key.
        in_json = (pair for pair in self._text_pairs if pair[1] != '"' or pair[0] == "\\")
        self._pairs = frozenset(pair.encode() for pair in in_json)
        self._raw_value = re.compile(_RAW_VALUE).match

    def secret(self, key: str) -> bool:
        """Whether what stands under *key* is a secret."""
        verdict = self.verdicts.get(key)
        if verdict is None:
            verdict = self._judge(key)
            if len(key) <= _KEY_LENGTH:
                if len(self.verdicts) >= _CACHE_SIZE:
                    self.verdicts.clear()
                self.verdicts[key] = verdict
        return verdict

    def secret_flag(self, word: object) -> bool:
        """Whether *word* is an option such as `--api-key`, whose value is the next word of a command."""
        return type(word) is str and word[:2] == "--" and "=" not in word and self._named(word[2:])

    def may_hold(self, raw: bytes) -> bool:
        """Whether JSON text may hold `name=value`, `name: value` or `--name value` with a secret's name, or
        the dashes before a private key."""
        return self.may_hold_flag(raw) or self.may_hold_assigned(raw)

    def may_hold_flag(self, raw: bytes) -> bool:
        """Whether JSON text may hold `--name value` with a secret's name, or begin a private key."""
        for dashes in self._dashes(raw):
            flag, key = dashes.groups()
            if flag and flag.endswith(b"-BEGIN"):
                return True
            if key or (flag and flag.translate(_LOWER, _GLUED).endswith(self._ends)):
                return True
        return False

    def may_hold_assigned(self, raw: bytes) -> bool:
        """Whether JSON text may hold `name=value` or `name: value` with a secret's name."""
        marked = raw.replace(b":", b"=")  # replacing one byte by another costs next to nothing
        find, pairs = marked.find, self._pairs
        place = find(b"=")
        for _ in range(_FEW):
            if place < 0:
                return False
            two = raw[place - 2 : place]
            if two in pairs and (two[1] != 32 or raw[place - 3 : place - 1] in pairs):
                if self._assigned_at(raw, place):
                    return True
            place = find(b"=", place + 1)
        return place >= 0 and self._assigned_among_many(raw, marked, max(place - _BEFORE, 0))

    def _assigned_among_many(self, raw: bytes, marked: bytes, start: int) -> bool:
        """The same from *start*, by the pieces between the signs: those that end in a secret's name are looked at.

        Takes 3 µs for 4 KB and 0.05 for each piece, where the way of few signs takes 0.25 for each.
        """
        letters = raw[start:].translate(_ASSIGNS, _SQUEEZED).split(b"=")
        ends, tail, tails = self._ends, -self._tail, self._tails
        hits = [n for n, piece in enumerate(letters) if piece[tail:] in tails and piece.endswith(ends)]
        pieces = marked[start:].split(b"=") if hits else []
        place, done = start - 1, 0
        for hit in hits:
            place += sum(map(len, pieces[done : hit + 1])) + hit + 1 - done
            done = hit + 1
            if raw[place - 2 : place] in self._pairs and self._assigned_at(raw, place):
                return True
        return False

    def _assigned_at(self, raw: bytes, place: int) -> bool:
        before = raw[max(place - _BEFORE, 0) : place]
        glued = before.translate(_LOWER, _GLUED)
        if glued[-self._tail :] not in self._tails or not glued.endswith(self._ends):
            return False
        value = self._raw_value(raw, place)
        name = _last_name(before.decode())
        # The rest of an escape (`\\n`, `\\u00e9`) may stand before the name.
        if value is None or not (self.secret(name) or self.secret(name[1:]) or self.secret(name[5:])):
            return False
        if value["bare"] is None or value["more"] is not None:
            return True
        bare = value["bare"].decode().rstrip(_AFTER_VALUE)
        if bare in ("None", "True", "False") or (bare.isalpha() and self.secret(bare)):  # quick, and frequent
            return False
        return self._hides(bare, glued) and self._hides_bare(bare, "=")

    def masked(self, text: str) -> tuple[str, int]:
        """*text* without the values that stand beside a secret's name, and how many they were."""
        text, count = self._masked(text, self._assigned_heads(text))
        if "--" in text:
            text, found = self._masked(text, self._expression(_FLAG).finditer(text))
            count += found
        return text, count

    def _assigned_heads(self, text: str) -> Iterator[re.Match[str]]:
        """The names in *text* that a `=` or `:` follows; a tenth of the time of a search for names."""
        expression, pairs = self._expression(_ASSIGNED), self._text_pairs
        for head in self._seps(text):
            place = head.start()
            two = text[place - 2 : place]
            if two not in pairs or (two[1] == " " and text[place - 3 : place - 1] not in pairs):
                continue
            name = _last_name(text[max(place - _BEFORE, 0) : place])
            if name and self._named(name):
                if found := expression.match(text, text.rfind(name, 0, place)):
                    yield found

    def _masked(self, text: str, heads: Iterator[re.Match[str]]) -> tuple[str, int]:
        kept: list[str] = []
        done = count = 0
        for head in heads:
            if head.start() < done or not self._named(head["name"]):
                continue
            span = self._value(text, head)
            if span is not None:
                kept += (text[done : span[0]], MASK)
                done = span[1]
                count += 1
        return ("".join(kept) + text[done:], count) if count else (text, 0)

    def _value(self, text: str, head: re.Match[str]) -> tuple[int, int] | None:
        """Where the secret that follows *head* stands, or None where it does not look like one."""
        start, sep, name = head.end(), head["sep"], _glued(head["name"])
        if quoted := self._expression(_QUOTED).match(text, start):
            return quoted.span("value") if self._hides(quoted["value"], name) else None
        for ending, expression in ((b"authorization", _SCHEME), (b"cookie", _COOKIES)):
            if name.endswith(ending) and ":" in sep:
                if value := self._expression(expression).match(text, start):
                    return value.span("value")
        bare = self._expression(_BARE).match(text, start)
        if bare is None:
            return None
        value_text = bare["value"].rstrip(_AFTER_VALUE)
        if not self._hides(value_text, name) or not self._hides_bare(value_text, sep):
            return None
        return start, start + len(value_text)

    def _hides(self, value: str, name: bytes) -> bool:
        if not value.strip() or self._expression(_STANDS_FOR).fullmatch(value):
            return False
        return not (name.endswith(b"token") and value.isdigit())  # a count, or a place in a vocabulary

    def _hides_bare(self, value: str, sep: str) -> bool:
        digits = sum(map(str.isdigit, value[:64]))
        if self._expression(_CODE).fullmatch(value) or (not digits and self.secret(value)):
            return False
        if sep == "=":
            return not value.isdigit() or len(value) > 3
        if sep.isspace():
            return value.lower().strip(".,") not in _PROSE and not (value.isupper() and value.isalpha())
        return len(value) >= 6 and digits > 0  # `name: value` and `name = value` are prose and code as well

    def _named(self, name: str) -> bool:
        return _glued(name).endswith(self._ends) and self.secret(name)

    def _judge(self, key: str) -> bool:
        if len(key) > _KEY_LENGTH:
            return False
        words = _segments(key)
        if "_".join(words) in self._whole:
            return True
        found = False
        for start in range(len(words)):
            for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                part = "_".join(words[start:end])
                if part in self._harmless:
                    return False
                if part in self._names and (end == len(words) or words[-1] not in _ABOUT):
                    found = True
        return found

    def _expression(self, source: str) -> re.Pattern[str]:
        expression = self._compiled.get(source)
        if expression is None:
            expression = self._compiled[source] = re.compile(source, re.ASCII)
        return expression


def _pairs(ends: list[str]) -> set[str]:
    """The two characters that may stand right before a `=` or `:`. Most of these signs are done with so."""
    inside, after = "_.-0123456789", "_.-0123456789 '\"\\"
    pairs: set[str] = set()
    last_letters = set(after)
    for end in ends:
        last = end[-1] + end[-1].upper()
        last_letters.update(last)
        pairs.update(a + b for a in end[-2:-1] + end[-2:-1].upper() + inside for b in last)
    return pairs | {a + b for a in last_letters for b in after}


def _last_name(before: str) -> str:
    """The name that ends *before* a sign, without its quotes, escapes and spaces."""
    stem = before.rstrip(" ").rstrip("\"'").rstrip("\\")
    return stem[len(stem.rstrip(_IN_NAME)) :]


def _segments(key: str) -> list[str]:
    """The words of a key, in lower case: parted by signs, digits and capital letters."""
    return [word.lower() for word in re.findall(_WORDS, key)]


def _glued(name: str) -> bytes:
    """The ASCII letters of *name*, in lower case."""
    return name.encode("ascii", "ignore").translate(_LOWER, _GLUED)
