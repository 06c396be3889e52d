"""What is no secret stays as it was said: a recorder that masks evidence is of no use in the morning."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from ai_trace.redact import Redactor

SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
REDACTOR = Redactor()
DASHES = "-" * 5

HARMLESS_KEYS = """
    session_id sessionId input_tokens output_tokens max_tokens maxTokens token_count tokenCount total_tokens
    tokens
    prompt_tokens completion_tokens completion_tokens_details cached_tokens reasoning_tokens tokenizer
    tokenize
    tokenized token_ids token_id token_type token_usage token_limit token_budget max_token eos_token pad_token
    next_token next_page_token nextPageToken time_to_first_token cost_per_token author authors authority
    authored
    authentic authenticated auth_method auth_type auth_url authorization_url authorization_endpoint
    keyboard keynote monkey turkey donkey passage passenger compass bypass passed passing password_policy
    password_length password_reset_url password_required key keys Key primary_key foreign_key sort_key
    cache_key
    partition_key idempotency_key public_key publicKey key_id keyId hotkey keyword keywords s3_key object_key
    secretary secret_name secret_count cookie_policy cookies_accepted cookie_banner cookie_consent api_key_id
    access_key_id api_key_name api_version api_base apiary_keys bearing description context name id parent
    trace_id traceparent span_id request_id commit sha256 checksum digest model temperature opinion pinned pin
    signature hash etag nonce status_code credential_type jwt_issuer expires_in token_expires_at otpauth
""".split()

HARMLESS_TEXTS = [
    hashlib.sha1(b"commit").hexdigest(),
    f"commit {hashlib.sha1(b'x').hexdigest()} (HEAD -> main)",
    hashlib.sha256(b"sum").hexdigest(),
    f"sha256:{hashlib.sha256(b'layer').hexdigest()}",
    hashlib.sha512(b"sum").hexdigest(),
    "integrity sha512-" + base64.b64encode(hashlib.sha512(b"lock").digest()).decode(),
    str(uuid.UUID(int=2**127 + 12345)),
    "data:image/png;base64," + base64.b64encode(random.Random(3).randbytes(3000)).decode(),
    base64.b64encode(random.Random(4).randbytes(3000)).decode(),
    "00-" + "4bf92f3577b34da6a3ce929d0e0e4736" + "-00f067aa0ba902b7-01",
    "/usr/lib/python3/dist-packages/some_package_with_a_long_name/task-scheduler-2024/module_12.py:120",
    r"C:\Users\Someone\AppData\Local\Programs\Python\Python311\Lib\site-packages\sklearn\__init__.py",
    "task-scheduler-worker-pool-0123456789abcdef",
    "sk-learn", "import sk-learn-contrib-lightning-2024", "sk-internationalization-team",
    "risk-assessment-of-things-in-2024", "desk-reservation-service-0123456789",
    "disk-usage-monitor-20240101120000",
    "ask-me-anything-about-2024-elections-now", "claude-3-5-sonnet-20241022", "gpt-4o-mini-2024-07-18",
    "meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo", "anthropic.claude-3-opus-20240229-v1:0",
    "2024-03-01T12:00:22.123456+00:00", "step 12 of 40 took 100.123 ms",
    "https://docs.python.org/3/library/re.html#re.compile", "https://example.org:8080/path@v2/x",
    "bob@example.org",
    "git@github.com:owner/repository.git", "ssh://git@github.com:22/owner/repository", "http://[::1]:8080/",
    "npm_config_registry_is_set_to_the_default_one", "hf_hub_download(repo_id='x')",
    "eyJhbGci is how they begin",
    f"{DASHES}BEGIN CERTIFICATE{DASHES}\nMIIB" + "A" * 60 + f"\n{DASHES}END CERTIFICATE{DASHES}",
    f"{DASHES}BEGIN PUBLIC KEY{DASHES}\nMIIB" + "A" * 60 + f"\n{DASHES}END PUBLIC KEY{DASHES}",
    f"A key starts with {DASHES}BEGIN PRIVATE KEY{DASHES} and ends with another line.",
    "the password is wrong", "The password: it must be long.", "Forgot your password? Reset it.", "password:",
    "Your token is valid.", "token: a unit of text", "Secret: never give up", "a secret = a thing not told",
    "Authorization: the act of allowing something", "Authorization is required",
    "Authorization: Bearer <token>",
    "Bearer authentication-required-for-this", "WWW-Authenticate: Bearer realm=\"example\"",
    "Basic understanding of",
    "use --token to sign in", "--password is required", "the --token option", "--token TOKEN",
    "--token <token>",
    "--api-key=$OPENAI_API_KEY", "--token ${TOKEN}", "max_tokens=4096, temperature=0.2", "tokens: 12345678",
    "token_count=123456", "input_tokens: 1234567", "token=50256", "author=bob1234", "key=abc123",
    "sort_key: name12",
    "def login(user: str, password: str) -> None:", "def f(token: Optional[str] = None, api_key=None):",
    "api_key=os.environ['OPENAI_API_KEY']", "api_key = os.environ.get('KEY')", "token = self.token",
    "client = Client(api_key=api_key, token=config.token)", "password=getpass.getpass()", "token=token",
    "f'password={password}'", 'f"{scheme}://{user}:{host}"', "DB_PASSWORD=$PW", "password=****",
    "password=<secret>",
    '{"password": "", "token": null, "secret": false}',
    '{"type": "object", "properties": {"api_key": {"type": "string"}}}',
    "password=None", "[redacted]", "[redacted:jwt]", "password=[redacted]", "cookie: a small cake",
    "cookies = []",
    "if token == other: pass", "monkey=banana1234 keyboard=qwertz5678", "session_id=20240301_120022",
]  # fmt: skip


@pytest.mark.parametrize("key", HARMLESS_KEYS)
def test_a_harmless_name_is_left_alone(key: str) -> None:
    """A key that only resembles a secret's name, or tells about one, keeps its value."""
    assert not REDACTOR.secret_key(key)
    given = {key: "value"}
    assert REDACTOR.data(given) == (given, 0)


@pytest.mark.parametrize("text", HARMLESS_TEXTS, ids=range(len(HARMLESS_TEXTS)))
def test_a_harmless_text_is_left_alone(text: str) -> None:
    """Sums, ids, paths, images, prose, types and placeholders stay, also quoted, nested, and as keys."""
    for form in (text, f"see {text} there", f"\n{text}\n", f"({text})"):
        assert REDACTOR.text(form) == (form, 0)
    given = {"a": [text, {"b": text}], "c": {text: 1}}
    assert REDACTOR.data(given) == (given, 0)


@pytest.mark.parametrize("value", [None, True, False, "", [], {}, 0, 5, 42, 999, 0.5])
def test_nothing_is_no_secret(value: Any) -> None:
    """Under a secret's name, what cannot be a secret stays: it says whether one was given."""
    assert REDACTOR.data({"api_key": value}) == ({"api_key": value}, 0)


def test_numbers_under_secret_names() -> None:
    """A number long enough for a PIN is masked; a number called token counts something."""
    assert REDACTOR.data({"otp": 123456, "password": 1234}) == ({"otp": "[redacted]",
        "password": "[redacted]"}, 2)
    assert REDACTOR.data({"token": 50256}) == ({"token": 50256}, 0)


def test_the_schema_of_a_tool_is_left_alone() -> None:
    """A parameter that is called `api_key` is described, not given; a default value would be masked."""
    schema = {
        "password": {"type": "string", "description": "the user's password", "minLength": 8},
        "api_key": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Api Key"},
    }
    assert REDACTOR.data(schema) == (schema, 0)
    assert REDACTOR.data({"password": {"type": "string", "default": "x"}}) == ({"password": "[redacted]"}, 1)


def test_random_ids_sums_and_images_are_left_alone() -> None:
    """Hex sums, ids and base64 of random bytes hold no secret by chance; drawn at random."""
    print(f"SEED={SEED}")
    draw = random.Random(SEED)
    for _ in range(300):
        size = draw.randrange(1, 400)
        hexes, image = draw.randbytes(size).hex(), base64.b64encode(draw.randbytes(size)).decode()
        ident = str(uuid.UUID(int=draw.getrandbits(128)))
        for text in (hexes, hexes.upper(), f"data:image/png;base64,{image}", f"id {image}", ident):
            assert REDACTOR.text(text) == (text, 0)


def test_this_library_reads_without_a_mask() -> None:
    """The library's own source code, which speaks of secrets all the time, is hardly touched."""
    masked = {}
    for path in sorted((Path(__file__).parent.parent / "ai_trace").glob("**/*.py")):
        text = path.read_text(encoding="utf-8")
        found = REDACTOR.text(text)[0]
        masked[path.name] = [a for a, b in zip(text.splitlines(), found.splitlines()) if a != b]
    about_secrets = ("secret_", "redact")
    assert not any(lines for name, lines in masked.items() if not name.startswith(about_secrets)), masked


def test_the_cache_of_verdicts_is_bounded() -> None:
    """Ids as keys do not fill the memory, and a hot loop may keep the dict of verdicts."""
    redactor = Redactor()
    verdicts = redactor.verdicts
    for n in range(20_000):
        assert not redactor.secret_key(f"id-{n}")
    assert redactor.secret_key("api_key") and verdicts["api_key"] is True
    assert len(verdicts) <= 5000 and redactor.verdicts is verdicts
    assert not redactor.secret_key("x" * 100_000) and max(map(len, verdicts)) < 300


def test_plain_json_is_returned_as_it_is() -> None:
    """Data without secrets comes back equal, in order, with its types."""
    given = {"b": [1, 2.5, None, True, "é\ud800"], "a": {"z": [], "y": {}}, "": ""}
    masked, count = REDACTOR.data(given)
    assert (json.dumps(masked), count) == (json.dumps(given), 0)
