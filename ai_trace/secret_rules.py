"""What counts as a secret: the names of keys, and the shapes of credentials. Data, and ways to change it.

    rules = DEFAULT_RULES.with_names("ssn").with_shape("acme", hint="acme_", pattern=r"acme_[0-9a-f]{32}")
    rules = rules.without("jwt").with_harmless("token_ring")

A *name* is written in snake_case and found in a key by whole segments, however the key is spelled: `api_key`
is in `OPENAI_API_KEY`, `X-Api-Key`, `apiKey` and `apikey`, and is not in `apiary_keys`. A name that begins
with `=` must be the whole key. A *shape* is what a credential looks like wherever it stands. Expressions are
kept as text and compiled when first needed, so that importing costs nothing; those of a user are checked at
once, and each must run in linear time.

The forms of the keys are the ones their makers document, and that secret scanners search for
(https://docs.github.com/code-security/secret-scanning, https://github.com/gitleaks/gitleaks).
"""

# No `from __future__ import annotations` here: NamedTuple would compile each text, and the first compile() costs 2 ms.

import re
from typing import Final, NamedTuple

from .exceptions import UsageError

__all__ = ["DEFAULT_RULES", "Rules", "Shape"]

_RULE_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}"


class Shape(NamedTuple):
    """What one kind of credential looks like."""

    name: str
    """Stands in the mask: `[redacted:<name>]`."""
    what: str
    """What it is, in words."""
    hints: tuple[str, ...]
    """Literals, one of which is in every match. Looked for first; the expression runs only where one is."""
    pattern: str
    """The expression. Where it has a group named `secret`, that group alone is masked."""
    near: str = ""
    """A cheap sign that must be in the record, or the hints are not even looked for: `long` (16 letters or
    digits in a row, at most 40 characters after the hint, which begins the match), `@`, `--`, or none."""
    raw: str = ""
    """The expression for a record as JSON text, where escapes would hide the secret from *pattern*. It may
    find too much, never too little."""


class Rules(NamedTuple):
    """Everything that is masked. Unchangeable: each method answers new rules."""

    names: tuple[str, ...]
    harmless: tuple[str, ...]
    """Names that are no secret although a secret's name is in them (`token_count`)."""
    shapes: tuple[Shape, ...]

    def __repr__(self) -> str:
        return f"<Rules: {len(self.names)} names, {len(self.shapes)} shapes>"

    def with_names(self, *names: str) -> "Rules":
        """Mask what stands under these key names too. Raises `UsageError` for what is no name."""
        return self._replace(names=(*self.names, *map(_checked_name, names)))

    def with_harmless(self, *names: str) -> "Rules":
        """Keep what stands under keys that contain these names. Raises `UsageError` for what is no name."""
        return self._replace(harmless=(*self.harmless, *map(_checked_name, names)))

    def with_shape(self, name: str, *, hint: str, pattern: str, what: str = "") -> "Rules":
        """Mask what matches *pattern*, a regular expression, wherever it stands.

        *hint* is a literal of at least two characters that is in every match (upper and lower case as
        there). A group `(?P<secret>…)`, if there is one, is masked alone. Raises `UsageError` for a name,
        hint or pattern that cannot work.
        """
        _check_shape(name, hint, pattern)
        return self._replace(shapes=(*self.shapes, Shape(name, what or name, (hint,), pattern)))

    def without(self, *names: str) -> "Rules":
        """Leave out these key names and shapes. Raises `UsageError` for one that is not in the rules."""
        known = {*self.names, *(shape.name for shape in self.shapes)}
        for name in names:
            if name not in known:
                raise UsageError(f"There is no redaction rule called {name!r}, so it cannot be left out.")
        return self._replace(
            names=tuple(name for name in self.names if name not in names),
            shapes=tuple(shape for shape in self.shapes if shape.name not in names),
        )


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not any(letter.isalpha() for letter in name):
        raise UsageError(f"A key name to redact must be text with a letter in it, not {name!r}.")
    return name


def _check_shape(name: str, hint: str, pattern: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(_RULE_NAME, name):
        raise UsageError(
            f"The name of a redaction rule is 1 to 40 letters, digits, spaces, '.', '_' or '-', not {name!r}."
        )
    if not isinstance(hint, str) or len(hint) < 2:
        raise UsageError(f"The hint of the redaction rule {name!r} must have 2 characters or more: {hint!r}.")
    try:
        expression = re.compile(pattern)
        empty, own = expression.search(""), expression.search(f"[redacted:{name}]")
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise UsageError(f"The pattern of the redaction rule {name!r} is not valid: {error}.") from None
    if empty:
        raise UsageError(f"The pattern of the redaction rule {name!r} matches the empty text: {pattern!r}.")
    if own:
        raise UsageError(f"The redaction rule {name!r} would mask its own mask [redacted:{name}]; rename it.")


_NAMES: Final = (
    # What a person or a program proves itself with.
    "password", "passwords", "passwd", "passwort", "pwd", "passphrase", "passcode", "=pass", "db_pass",
    "smtp_pass", "user_pass", "mysql_pass", "redis_pass", "ftp_pass", "mail_pass", "email_pass", "admin_pass",
    "root_pass", "otp", "totp", "otp_code", "mfa_code", "one_time_code", "card_pin", "user_pin", "pin_number",
    "cvv", "cvc", "recovery_code", "recovery_codes", "backup_codes", "seed_phrase", "recovery_phrase",
    "mnemonic",
    # Secrets, tokens and what carries them; `access_token` beside `token` for the sake of `accesstoken`.
    "secret", "secrets", "secret_id", "token", "access_tokens", "refresh_tokens", "auth_tokens", "api_tokens",
    "id_tokens", "session_tokens", "bearer_tokens", "access_token", "refresh_token", "auth_token",
    "api_token", "id_token", "session_token", "bot_token", "client_secret", "app_secret", "api_secret",
    "bearer", "jwt", "jwts", "csrf", "xsrf", "authorization", "=auth", "basic_auth", "http_auth",
    "proxy_auth", "auth_header", "cookie", "cookies", "cookie_jar", "credential", "credentials", "creds",
    "client_assertion", "code_verifier", "authorization_code",
    # Keys: only with a word that says which; a bare `key` is nearly always harmless.
    "api_key", "api_keys", "access_key", "access_keys", "auth_key", "private_key", "private_keys",
    "signing_key", "signing_keys", "encryption_key", "encryption_keys", "decryption_key", "account_key",
    "master_key", "shared_key", "shared_access_key", "session_key", "ssh_key", "ssh_keys", "deploy_key",
    "license_key", "service_key", "service_role_key", "service_account_key", "storage_key",
    "storage_account_key", "hmac_key", "cipher_key", "aes_key", "webhook_key", "subscription_key",
    "functions_key", "app_key", "consumer_key",
)  # fmt: skip

_HARMLESS: Final = (
    # A token of a language model, of a parser, or of a page, not of a guard.
    "max_token", "min_token", "num_token", "per_token", "first_token", "last_token", "next_token",
    "prev_token", "page_token", "continuation_token", "sync_token", "cursor_token", "eos_token", "bos_token",
    "pad_token", "unk_token", "sep_token", "cls_token", "mask_token", "stop_token", "end_token",
    "start_token", "special_token", "prompt_token", "input_token", "output_token", "completion_token",
    "cached_token", "reasoning_token", "total_token", "sampled_token", "chosen_token", "token_bucket",
    "token_budget", "token_text", "token_logprob", "token_logprobs", "token_probs", "token_embedding",
    "token_embeddings",
    # What is told about a secret and does not give it away.
    "secret_santa", "password_manager", "password_reset", "token_exchange", "token_counter", "token_counts",
    "public_key", "access_key_id",
)  # fmt: skip

_PEM_HEAD: Final = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PEM_TAIL: Final = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PEM: Final = (
    # Whole, its lines broken in any way (20,000 characters hold an RSA key of 16,384 bits) …
    rf"{_PEM_HEAD}(?:(?:[^-]|-(?!----)){{1,20000}}{_PEM_TAIL}"
    # … or cut off: its headers, then words of base64.
    r"|(?:(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)[\t >|\"'+]{0,40}"
    r"(?:Proc-Type|DEK-Info|Version|Comment):[^\r\n\\]{0,200}){0,6}"
    r"(?:(?:[\s>|\"'+]|\\{1,4}[nrt]){1,40}[A-Za-z0-9+/=]{16,})+"
    # The last word may be short where the text ends in it.
    r"(?:\\{0,4}\"?(?:\n|\\{1,4}n)(?:[\s>|\"'+]|\\{1,4}[nrt]){0,40}"
    r"[A-Za-z0-9+/=]{1,16}(?=[\"'\u2026]|\.\.\.|[ \t]*[\r\n]|\s*\Z))?)"
)

_SHAPES: Final = (
    Shape("pem", "a private key as text (PKCS, OpenSSH, PGP), whole or cut off", ("-----BEGIN ",), _PEM, "--",
          _PEM_HEAD),
    Shape("jwt", "a JSON Web Token, signed or encrypted", ("eyJ",),
          r"eyJ[\w-]{14,400}\.(?:eyJ[\w-]{10,}(?:\.[\w-]*)?|[\w-]{0,1024}\.[\w-]{8,64}\.[\w-]+\.[\w-]+)",
          "long"),
    # Makers of models and what agents use
    Shape("anthropic", "an Anthropic key", ("sk-ant-",), r"sk-ant-[\w-]{20,}", "long"),
    Shape("openai", "an OpenAI key, or of the many that take its form", ("sk-",),
          r"sk-(?:(?:proj|svcacct|admin|service|None|or-v1|lf)-[\w-]{20,}"
          r"|(?=[a-z]{0,40}[A-Z0-9])[A-Za-z0-9]{20,})",
          "long"),
    Shape("google", "a Google API key, OAuth token or client secret", ("AIza", "ya29.", "GOCSPX-"),
          r"(?:AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})", "long"),
    Shape("huggingface", "a Hugging Face token", ("hf_", "api_org_"),
          r"(?:hf|api_org)_[A-Za-z0-9]{30,}", "long"),
    Shape("groq", "a Groq key", ("gsk_",), r"gsk_[A-Za-z0-9]{40,}", "long"),
    Shape("xai", "an xAI key", ("xai-",), r"xai-[A-Za-z0-9]{40,}", "long"),
    Shape("perplexity", "a Perplexity key", ("pplx-",), r"pplx-[A-Za-z0-9]{32,}", "long"),
    Shape("replicate", "a Replicate token", ("r8_",), r"r8_[A-Za-z0-9]{32,}", "long"),
    Shape("cerebras", "a Cerebras key", ("csk-",), r"csk-[a-z0-9]{32,}", "long"),
    Shape("nvidia", "an NVIDIA key", ("nvapi-",), r"nvapi-[\w-]{40,}", "long"),
    Shape("langsmith", "a LangSmith key", ("lsv2_",),
          r"lsv2_[a-z]{2}_[a-f0-9]{32}(?:_[a-f0-9]{10})?", "long"),
    Shape("tavily", "a Tavily key", ("tvly-",), r"tvly-[\w-]{20,}", "long"),
    Shape("pinecone", "a Pinecone key", ("pcsk_",), r"pcsk_[\w-]{30,}", "long"),
    Shape("databricks", "a Databricks token", ("dapi",), r"dapi[a-f0-9]{32}", "long"),
    # Code and packages
    Shape("github", "a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
          r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,})", "long"),
    Shape("gitlab", "a GitLab token", ("glpat-", "gldt-", "glptt-", "glrt-", "glcbt-", "gloas-", "glsoat-"),
          r"gl(?:pat|dt|ptt|rt|cbt|oas|soat)-[\w-]{20,}", "long"),
    Shape("npm", "an npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}", "long"),
    Shape("pypi", "a PyPI token", ("pypi-AgE",), r"pypi-AgE[\w-]{50,}", "long"),
    # Clouds and services
    Shape("aws", "an AWS access key id, of a user or of a session", ("AKIA", "ASIA", "ABIA", "ACCA"),
          r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])", "long"),
    Shape("digitalocean", "a DigitalOcean token", ("doo_v1_", "dop_v1_", "dor_v1_"),
          r"do[opr]_v1_[a-f0-9]{64}", "long"),
    Shape("slack", "a Slack token",
          ("xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
          r"(?:xox[a-e]|xox[oprs]|xapp)[-.][\w.-]{0,8}[\w-]{16,}", "long"),
    Shape("slack-hook", "a Slack webhook address", ("hooks.slack.com/",),
          r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/T?[\w/-]{20,})", "long"),
    Shape("discord-hook", "a Discord webhook address", ("/api/webhooks/",),
          r"/api/webhooks/\d{16,20}/(?P<secret>[\w-]{20,})", "long"),
    Shape("telegram", "a Telegram bot token", (":AA",), r"(?<=\d{8}):(?P<secret>AA[\w-]{30,})", "long"),
    Shape("stripe", "a Stripe key or webhook secret",
          ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
          r"(?:[sr]k_(?:live|test)_|whsec_)[A-Za-z0-9]{16,}", "long"),
    Shape("shopify", "a Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"),
          r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}", "long"),
    Shape("sendgrid", "a SendGrid key", ("SG.",), r"SG\.[\w-]{16,64}\.[\w-]{16,}", "long"),
    Shape("notion", "a Notion token", ("ntn_",), r"ntn_[A-Za-z0-9]{40,}", "long"),
    Shape("linear", "a Linear key", ("lin_api_", "lin_oauth_"),
          r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}", "long"),
    Shape("supabase", "a Supabase key", ("sbp_", "sb_secret_"),
          r"(?:sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,})", "long"),
    Shape("vault", "a HashiCorp Vault token", ("hvs.", "hvb."), r"hv[sb]\.[\w-]{24,}", "long"),
    Shape("grafana", "a Grafana token", ("glsa_",), r"glsa_[A-Za-z0-9]{32}(?:_[A-Fa-f0-9]{8})?", "long"),
    Shape("newrelic", "a New Relic key", ("NRAK-",), r"NRAK-[A-Z0-9]{27}", "long"),
    Shape("atlassian", "an Atlassian token", ("ATATT3", "ATCTT3"), r"AT[AC]TT3[\w=-]{60,}", "long"),
    Shape("age", "an age identity", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{40,}", "long"),
    # How credentials travel. After the keys above, which know what they found.
    Shape("bearer", "a token after the word Bearer", ("Bearer ", "bearer "),
          r"[Bb]earer (?P<secret>(?:[A-Za-z0-9]{1,12}[.:|])?(?=[A-Za-z_-]{0,64}\d)[\w-]{16,}[\w.~+/=-]*)",
          "long"),
    Shape("basic", "user and password after the word Basic", ("Basic ", "basic "),
          r"[Bb]asic (?P<secret>(?=[A-Za-z]{0,64}\d)[A-Za-z0-9]{16,}[A-Za-z0-9+/]*={0,2})", "long"),
    Shape("url", "the password in an address (user and host stay)", ("://",),
          r"://[^\s/?#@:\"'<>\\]{0,256}:(?!\[redacted)(?P<secret>[^\s/?#\"'<>\\]{1,256})@(?=[\w\[.-])", "@",
          r"://[^ /?#@:\"]{0,1600}:[^ /?#\"]{1,1600}@"),
)  # fmt: skip

DEFAULT_RULES: Final = Rules(_NAMES, _HARMLESS, _SHAPES)
"""What is masked unless the user says otherwise."""
