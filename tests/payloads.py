"""Texts that would act in a page that let them: markup, ends of blocks, attributes, addresses, odd characters.

Each that can run a script calls `alert`, which a browser tells.
"""

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    "<!--<script>",
    "--><script>alert(1)</script>",
    "<![CDATA[x]]>",
    "]]><svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" autofocus onfocus="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    '<a href="javascript:alert(1)">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<base href=//example.org/><link rel=stylesheet href=//example.org/x.css>",
    "<meta http-equiv=refresh content='0;url=//example.org'>",
    "</textarea></select></option></noscript><script>alert(1)</script>",
    "<details open ontoggle=alert(1)>",
    "<style>@import '//example.org/x.css'; * { background: url(//example.org/y) }</style>",
    "<math><mtext></p><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} `${alert(1)}`",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62; &amp;",
    "\u2028alert(1)\u2029",
    "\u202ereversed\u202c \u200bhidden",
    "nul \0 bell \x07 escape \x1b[31m",
    "\\u003cscript\\u003ealert(1)",
    "__proto__",
    "＜script＞alert(1)＜/script＞",
)
