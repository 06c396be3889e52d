"""Secrets are masked: by the name of their key, by their shape, and by their name in running text.

Every secret here is made up, and put together when the tests run, so that none stands in a file.
"""

from __future__ import annotations

import json
import os
import random
import string
import time
from typing import Any

import pytest

from ai_trace.exceptions import UsageError
from ai_trace.redact import DEFAULT_RULES, Redactor

SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
ALNUM = string.ascii_letters + string.digits
REDACTOR = Redactor()


def fake(prefix: str, length: int, letters: str = ALNUM, seed: int = 7) -> str:
    """A secret that nobody owns; it always has a digit and an upper case letter where *letters* has them."""
    draw = random.Random(f"{prefix}{length}{seed}")
    body = "".join(draw.choice(letters) for _ in range(length - 2))
    return prefix + body + ("7" if "7" in letters else "") + ("Q" if "Q" in letters else "")


B64URL = ALNUM + "-_"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
DASHES = "-" * 5
JWT = ".".join((fake("ey" + "J", 30), fake("ey" + "J", 60, B64URL), fake("", 43, B64URL)))
PEM_BODY = "\n".join(fake("", 64, ALNUM + "+/", seed) for seed in range(6))


def pem(kind: str, newline: str = "\n") -> str:
    body = f"\n{PEM_BODY}\n{fake('', 20)}==\n"
    whole = f"{DASHES}BEGIN {kind}PRIVATE KEY{DASHES}{body}{DASHES}END {kind}PRIVATE KEY{DASHES}"
    return whole.replace("\n", newline)


CANARIES: dict[str, tuple[str, str]] = {
    # what it is: (the rule that must find it, the secret)
    "openai": ("openai", fake("sk" + "-", 48)),
    "openai project": ("openai", fake("sk" + "-proj-", 120, B64URL)),
    "openai service": ("openai", fake("sk" + "-svcacct-", 80, B64URL)),
    "openrouter": ("openai", fake("sk" + "-or-v1-", 64, HEX)),
    "deepseek": ("openai", fake("sk" + "-", 32, HEX)),
    "anthropic": ("anthropic", fake("sk" + "-ant-api03-", 95, B64URL)),
    "google": ("google", "AI" + fake("za", 35)[:37]),
    "google oauth": ("google", fake("ya" + "29.", 60, B64URL)),
    "github ghp": ("github", fake("gh" + "p_", 36)),
    "github gho": ("github", fake("gh" + "o_", 36)),
    "github ghu": ("github", fake("gh" + "u_", 36)),
    "github ghs": ("github", fake("gh" + "s_", 36)),
    "github ghr": ("github", fake("gh" + "r_", 76)),
    "github fine": ("github", fake("github" + "_pat_", 82)),
    "gitlab": ("gitlab", fake("gl" + "pat-", 20, B64URL)),
    "aws": ("aws", fake("AK" + "IA", 16, UPPER)),
    "aws session": ("aws", fake("AS" + "IA", 16, UPPER)),
    "slack bot": ("slack", "xo" + "xb-123456789012-1234567890123-" + fake("", 24)),
    "slack app": ("slack", "xa" + "pp-1-A012345678-1234567890123-" + fake("", 64, HEX)),
    "stripe": ("stripe", fake("sk" + "_live_", 24)),
    "stripe restricted": ("stripe", fake("rk" + "_live_", 24)),
    "huggingface": ("huggingface", fake("h" + "f_", 34, string.ascii_letters)),
    "groq": ("groq", fake("gs" + "k_", 52)),
    "xai": ("xai", fake("xa" + "i-", 80)),
    "nvidia": ("nvidia", fake("nv" + "api-", 64, B64URL)),
    "sendgrid": ("sendgrid", "S" + "G." + fake("", 22, B64URL) + "." + fake("", 43, B64URL)),
    "npm": ("npm", fake("np" + "m_", 36)),
    "pypi": ("pypi", fake("py" + "pi-AgEIcHlwaS5vcmc", 80, B64URL)),
    "databricks": ("databricks", fake("da" + "pi", 34, HEX)[:36]),
    "vault": ("vault", fake("hv" + "s.", 30, B64URL)),
    "jwt": ("jwt", JWT),
    "jwt unsigned": ("jwt", JWT.rpartition(".")[0] + "."),
    "pem": ("pem", pem("")),
    "pem rsa": ("pem", pem("RSA ")),
    "pem openssh": ("pem", pem("OPENSSH ")),
    "pem on one line": ("pem", pem("EC ", "\\n")),
    "pem cut off": ("pem", pem("RSA ")[:200]),
}
IN_TEXT: dict[str, tuple[str, str, str]] = {
    # what it is: (the text, the secret in it, what must be left)
    "bearer": ("Authorization: Bearer " + fake("", 40), fake("", 40),
        "Authorization: Bearer [redacted:bearer]"),
    "bearer alone": ("sent 'Bearer " + fake("v1.", 30) + "'", fake("v1.", 30),
        "sent 'Bearer [redacted:bearer]'"),
    "bearer short": ("Authorization: Bearer abc123", "abc123", "Authorization: [redacted]"),
    "basic": ("Authorization: Basic dXNlcjpwdw9=", "dXNlcjpwdw9", "Authorization: [redacted]"),
    "curl": ('curl -H "X-Api-Key: abc123def" https://x.io', "abc123def",
        'curl -H "X-Api-Key: [redacted]" https://x.io'),
    "cookie": ("Cookie: sid=abc; theme=dark\nHost: x", "sid=abc", "Cookie: [redacted]\nHost: x"),
    "set-cookie": ("Set-Cookie: sid=a1; Path=/", "sid=a1", "Set-Cookie: [redacted]"),
    "url": ("https:" + "//bob:hunter2@example.org/x", "hunter2", "https://bob:[redacted:url]@example.org/x"),
    "url in a list": ("redis:" + "//:p4@r:6379, http://a:b@c", "p4",
        "redis://:[redacted:url]@r:6379, http://a:[redacted:url]@c"),
    "url with @": ("postgres:" + "//u:p@ss@db/x", "p@ss", "postgres://u:[redacted:url]@db/x"),
    "url query": ("https://x.io/?user=a&api_key=abc&n=1", "abc",
        "https://x.io/?user=a&api_key=[redacted]&n=1"),
    "assigned": ("password=hunter2", "hunter2", "password=[redacted]"),
    "env file": ("A=1\nexport DB_PASSWORD=hunter2\nB=2", "hunter2",
        "A=1\nexport DB_PASSWORD=[redacted]\nB=2"),
    "connection": ("AccountName=a;AccountKey=Zm9v+/8=;x=1", "Zm9v",
        "AccountName=a;AccountKey=[redacted];x=1"),
    "json": ('{"api_key": "abc", "n": 1}', "abc", '{"api_key": "[redacted]", "n": 1}'),
    "json compact": ('{"a":1,"client_secret":"a b"}', "a b", '{"a":1,"client_secret":"[redacted]"}'),
    "json in json": (r'"{\"token\":\"abc\"}"', "abc", r'"{\"token\":\"[redacted]\"}"'),
    "a quote inside": (r'{"password": "a\"bc"}', "bc", '{"password": "[redacted]"}'),
    "repr": ("{'auth_token':'abc'}", "abc", "{'auth_token':'[redacted]'}"),
    "yaml": ("user: bob\npassword: hunter2\n", "hunter2", "user: bob\npassword: [redacted]\n"),
    "source code": ('API_KEY = "abcdef"  # mine', "abcdef", 'API_KEY = "[redacted]"  # mine'),
    "annotated": ('password: str = "letmein"', "letmein", 'password: str = "[redacted]"'),
    "flag": ("run --token abc --verbose", "abc", "run --token [redacted] --verbose"),
    "flag with =": ("run --api-key=abc", "abc", "run --api-key=[redacted]"),
    "two": ("pwd=a1 secret=b2", "a1", "pwd=[redacted] secret=[redacted]"),
    "telegram": ("https://api.telegram.org/bot123456789:" + fake("A" + "A", 33) + "/getMe",
        fake("A" + "A", 33), "https://api.telegram.org/bot123456789:[redacted:telegram]/getMe"),
    "slack hook": ("https://hooks.slack.com/services/T0" + "0000000/B00000000/" + fake("", 24), fake("", 24),
        "https://hooks.slack.com/[redacted:slack-hook]"),
}  # fmt: skip
SECRET_KEYS = """
    password passwd pwd passphrase db_password dbPassword DB_PASSWORD password1 password_hash new-password
    userPassword
    api_key apikey apiKey ApiKey API_KEY api-key x-api-key X-Api-Key openai_api_key OPENAI_API_KEY
    OpenAIApiKey
    api_key_prod api.key headers.x-api-key authorization Authorization Proxy-Authorization
    HTTP_AUTHORIZATION auth
    basic_auth cookie cookies Cookie set-cookie Set-Cookie2 session_cookie secret secrets client_secret
    clientSecret
    CLIENT-SECRET app_secret secret_key SECRET_KEY_BASE secret_id webhook_secret token access_token
    accessToken
    refresh_token auth_token id_token session_token bot_token csrf_token github_token GITHUB_TOKEN
    token_github
    x-auth-token oauth2_token bearer jwt private_key privateKey ssh_private_key signing_key encryption_key
    account_key AccountKey access_key aws_secret_access_key AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN master_key
    credentials credential creds aws_credentials otp totp seed_phrase smtp_pass pass accesstoken clientsecret
""".split()


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_name_is_known_in_every_spelling(key: str) -> None:
    """What stands under a secret's name is masked, however the name is spelled and whatever it is."""
    assert REDACTOR.secret_key(key)
    for value in ("x", "a b", ["x"], {"a": "x"}):
        assert REDACTOR.data({key: value, "other": "x"}) == ({key: "[redacted]", "other": "x"}, 1)


@pytest.mark.parametrize("what", CANARIES)
def test_a_shape_is_known_wherever_it_stands(what: str) -> None:
    """A credential is masked in a text, nested, as a key, in quotes, after an escape, in JSON in a text."""
    rule, secret = CANARIES[what]
    mask = f"[redacted:{rule}]"
    assert REDACTOR.text(secret) == (mask, 1)
    for before, after in (
        ("see ", " there"), ("'", "'"), ('"', '"'), ("\n", "\n"), ("\t", "\r"), ("é", "\u2028"), ("(", ")"),
        ("=", "\n"), ("<", ">"), ("/", " "), ("😀", "😀"), ('{"a": "', '"}'), ("\\n", "\\n"),
    ):  # fmt: skip
        if before == "\\n" and secret[0] != "-":
            before = '\\n"'  # two characters, of which the second is a letter before the secret
        text = f"{before}{secret}{after}"
        assert REDACTOR.suspects(encoded(text)), text
        assert REDACTOR.text(text) == (f"{before}{mask}{after}", 1), text
    assert REDACTOR.data({"a": [{"b": [f"x {secret}"]}]}) == ({"a": [{"b": [f"x {mask}"]}]}, 1)
    assert REDACTOR.data({secret: 1, f"{secret} ": 2})[1] == 2
    inner = json.dumps({"a": {"b": secret}})
    masked, count = REDACTOR.text(inner)
    assert count == 1 and mask in masked and json.loads(masked)


@pytest.mark.parametrize("what", IN_TEXT)
def test_a_secret_in_running_text_is_masked_and_the_rest_stays(what: str) -> None:
    """`name=value`, JSON in a text, headers, options and addresses lose the secret and nothing else."""
    text, secret, expected = IN_TEXT[what]
    masked, count = REDACTOR.text(text)
    assert masked == expected
    assert secret not in masked and count >= 1
    assert REDACTOR.suspects(encoded(text))


@pytest.mark.parametrize("what", IN_TEXT)
def test_a_secret_is_seen_after_any_number_of_signs(what: str) -> None:
    """What stands before a secret, however much, does not hide it."""
    text, _, expected = IN_TEXT[what]
    for count in (*range(24), 100):
        before = "a = b, c: d\n" * (count // 2) + "x=1\n" * (count % 2)
        assert REDACTOR.text(before + text)[0] == before + expected
        assert REDACTOR.suspects(encoded(before + text))


def test_no_character_of_a_private_key_is_left() -> None:
    """A key cut off in the middle, on one line or inside code loses every line of its body."""
    cut = pem("RSA ")[:300]
    broken = [cut.replace("\n", line_end) for line_end in ("\n", "\\n", "\n    ", '\\n"\n  "')]
    for text in (*broken, cut + "\nNext, we"):
        masked, count = REDACTOR.text(text)
        assert count == 1
        assert not any(line in masked for line in cut.splitlines()), masked
    assert REDACTOR.text(cut + "\nNext, we")[0].endswith("Next, we")


def test_an_option_hides_the_next_word_of_a_command() -> None:
    """A command as a list loses the word after `--password`, and is suspected for it."""
    command = ["login", "--user", "bob", "--password", "x y", "--verbose"]
    assert REDACTOR.suspects(encoded(command))
    assert REDACTOR.data(command) == (["login", "--user", "bob", "--password", "[redacted]", "--verbose"], 1)


def test_two_secret_keys_stay_two() -> None:
    """Two keys that get the same mask do not overwrite each other."""
    first, second = fake("gh" + "p_", 36, seed=1), fake("gh" + "p_", 36, seed=2)
    masked, count = REDACTOR.data({first: 1, second: 2})
    assert (sorted(masked.values()), count) == ([1, 2], 2)


def test_the_given_data_is_not_changed() -> None:
    """Masking copies; what the agent holds stays as it was."""
    given = {"a": [{"password": "x"}, "pwd=1a"], "b": {"c": ["--token", "x"]}}
    before = json.dumps(given)
    assert REDACTOR.data(given)[1] == 3
    assert json.dumps(given) == before


def test_masking_twice_is_masking_once() -> None:
    """Masked data is left as it is, and nothing is counted again."""
    everything: dict[str, Any] = {f"text {what}": text for what, (text, _, _) in IN_TEXT.items()}
    everything |= {f"shape {what}": f"a {secret} b" for what, (_, secret) in CANARIES.items()}
    everything |= {secret: [secret, {secret: secret}] for _, secret in CANARIES.values()}
    everything |= {text: text for text, _, _ in IN_TEXT.values()}
    everything |= {key: "x" for key in SECRET_KEYS} | {"argv": ["--token", "x"]}
    once, count = REDACTOR.data(everything)
    assert count > len(everything)
    assert REDACTOR.data(once) == (once, 0)
    as_text = json.dumps(once)
    assert REDACTOR.text(as_text) == (as_text, 0)


def test_no_is_certain() -> None:
    """Whatever `data` masks by shape, `suspects` has seen in the JSON text; drawn at random."""
    print(f"SEED={SEED}")
    draw = random.Random(SEED)
    secrets = [secret for _, secret in CANARIES.values()] + [text for text, _, _ in IN_TEXT.values()]
    words = ["the", "password", "is:", "token", "=", "sk-", "eyJ", "é", "\n", '"', "\\", "://", "@", "--"]
    words += ["a" * 20, "7" * 17]
    masked = 0
    for _ in range(1500):
        parts = [draw.choice(words) for _ in range(draw.randrange(12))]
        if draw.random() < 0.7:
            secret = draw.choice(secrets)
            cut = len(secret) if draw.random() < 0.6 else draw.randrange(len(secret))
            parts.insert(draw.randrange(len(parts) + 1), secret[:cut])
        text = draw.choice(["", " "]).join(parts)
        value: Any = draw.choice([{"a": text}, {"a": [{"b": text}]}, {text: 1}, ["--token", text]])
        data, count = REDACTOR.data(value)
        masked += count > 0
        if not REDACTOR.suspects(encoded(value)):
            if any(map(REDACTOR.secret_key, value)):
                continue  # masked for the name of the key, which is asked separately
            assert count == 0, value
        assert REDACTOR.data(data)[1] == 0, (value, data)
    assert masked > 300


@pytest.mark.parametrize(
    "piece",
    ["a", "://", "://a:", f"{DASHES}BEGIN ", f"{DASHES}BEGIN PRIVATE KEY{DASHES}",
     f"{DASHES}BEGIN PRIVATE KEY{DASHES}\nVersion:", "\nVersion: 1", "ey" + "J", "ey" + "J.", "ey" + "J-",
     "@", "sk-", "--", "--a", "=", "a=", ":", ": ", "token=", "token: ", "password=\"", "password='\\\"",
     "Bearer ", "Bearer a.", "\\", "-", "a-", "a.", "A1", "token --token ", "cookie: a=",
     "Authorization: Digest ", "://:@", " ", "\n", "xoxb-", "SG.", "aws_"],
)  # fmt: skip
def test_the_time_is_linear(piece: str) -> None:
    """Twice the text takes about twice the time, for texts made to be slow; nothing here is quadratic."""

    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length] + " x" * 20 + "password=a1 --token b2 " + JWT
        raw = encoded(text)
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            REDACTOR.suspects(raw)
            REDACTOR.text(text)
            best = min(best, time.thread_time() - start)
        return best

    # A quadratic expression would take 64 times as long for 8 times the text.
    assert seconds(64_000) < 24 * seconds(8_000) + 0.05


def test_deep_data_needs_no_stack() -> None:
    """Data nested as deep as a record may be is masked in a thread with a small stack, and far deeper too."""
    value: Any = "pwd=a1"
    for _ in range(5000):
        value = [value]
    masked, count = REDACTOR.data(value)
    for _ in range(5000):
        masked = masked[0]
    assert (masked, count) == ("pwd=[redacted]", 1)


def test_a_user_adds_and_leaves_out_rules() -> None:
    """Rules are data: names and shapes are added and taken away, and the default stays as it was."""
    acme = fake("acme" + "_", 33, HEX)
    rules = DEFAULT_RULES.with_names("ssn").with_shape("acme", hint="acme_", pattern=r"\bacme_[0-9a-f]{32}")
    mine = Redactor(rules.without("jwt", "openai").with_harmless("token_of_thanks"))
    assert mine.data({"user_ssn": "1", "a": f"x\n{acme}", "token_of_thanks": "flowers"}) == (
        {"user_ssn": "[redacted]", "a": "x\n[redacted:acme]", "token_of_thanks": "flowers"},
        2,
    )
    assert mine.suspects(encoded({"a": f"\n{acme}"})) and mine.suspects(encoded("ssn=123-45-6789"))
    assert mine.text(JWT) == (JWT, 0) and REDACTOR.text(JWT)[1] == 1
    assert mine.text("ssn=123-45-6789") == ("ssn=[redacted]", 1) and REDACTOR.text("ssn=123-45-6789")[1] == 0
    short = Redactor(DEFAULT_RULES.with_shape("staff", hint="Nº", pattern=r"Nº(?P<secret>\d+)"))
    assert short.suspects(encoded("Nº12")) and short.text("Nº12") == ("Nº[redacted:staff]", 1)
    assert Redactor(DEFAULT_RULES._replace(names=(), shapes=())).data({"token": JWT}) == ({"token": JWT}, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: DEFAULT_RULES.with_shape("x", hint="acme_", pattern="(acme_"), "is not valid"),
        (lambda: DEFAULT_RULES.with_shape("x", hint="acme_", pattern="(acme_)?"), "matches the empty text"),
        (lambda: DEFAULT_RULES.with_shape("acme_key", hint="acme_", pattern=r"acme_\w+"), "its own mask"),
        (lambda: DEFAULT_RULES.with_shape("x", hint="", pattern="acme"), "hint"),
        (lambda: DEFAULT_RULES.with_shape("a]b", hint="acme_", pattern="acme"), "name of a redaction rule"),
        (lambda: DEFAULT_RULES.with_names(""), "key name"),
        (lambda: DEFAULT_RULES.with_harmless("_"), "key name"),
        (lambda: DEFAULT_RULES.without("jwtt"), "no redaction rule called 'jwtt'"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_a_sentence(change: Any, says: str) -> None:
    """A bad pattern, hint or name is refused when the rules are made, not in the night of the accident."""
    with pytest.raises(UsageError, match=says) as caught:
        change()
    assert str(caught.value).endswith(".")


def test_every_rule_says_what_it_is() -> None:
    """Each shape has its own name, a description and hints, and its expression compiles."""
    shapes = DEFAULT_RULES.shapes
    assert len({shape.name for shape in shapes}) == len(shapes)
    for shape in shapes:
        DEFAULT_RULES.with_shape(shape.name, hint=shape.hints[0], pattern=shape.pattern)
        assert len(shape.what) > 8 and shape.near in ("long", "@", "--", "")


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
