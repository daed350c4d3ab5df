"""The pages for browsers, the terminal chat's commands, and what the cache remembers."""

from __future__ import annotations

from oxillama.embedded.data.facts.fact import Fact

FACTS = (
    Fact(
        key="chat_page",
        answer="Open http://127.0.0.1:8000/ in a browser: it is a page to talk to the model. Its conversations are kept in the browser.",
        must=("http://127.0.0.1:8000/", "browser"),
        do=("{chat|talk to the model|talk|use it|use oxillama} {in|with|from} {a|my|the} browser", "{open|use|find|see} the {chat page|web page|web interface|web UI|user interface|page}"),
        about=("{the chat page|the web page|the web interface|the web UI|the user interface|the browser page}",),
        ask=("{Is there|Does it have|Has it} a {web page|chat page|web interface|web UI|user interface|GUI}?", "{Where|How} are the {page's|chat page's|browser's} conversations {kept|stored|saved}?"),
        test="I would rather click than type commands. Is anything to look at provided?",
        dev="Does it offer something graphical?",
    ),
    Fact(
        key="api_docs",
        answer="/docs describes every route of the API; it is made from /openapi.json and the running server's types.",
        must=("/docs", "/openapi.json"),
        do=("{see|find|read|browse} {the API documentation|the API reference|all routes|all endpoints|the OpenAPI description}", "{get|download} the OpenAPI {file|schema|description|document}"),
        about=("{/docs|/openapi.json|the OpenAPI page|the API description|the API reference}",),
        ask=("{Which|What} {endpoints|routes} {are there|does the API have|exist}?", "{Is there|Does it have} {an OpenAPI schema|an API reference|Swagger|an OpenAPI description}?"),
        test="I want to generate a client from a schema. Does the server publish one?",
        dev="Where may one look up each route the server knows?",
    ),
    Fact(
        key="no_ui",
        answer="Use --no-ui, or ui = false in oxillama.toml: it takes away the chat page and /docs.",
        must=("--no-ui",),
        do=("{turn off|disable|remove|switch off|hide} {the chat page|the web page|the web interface|the pages|the UI|the web UI|the user interface|/docs}", "serve {the API only|only the API|without a page|without the page|without a web page}"),
        about=("{--no-ui|the ui setting|OXILLAMA_UI}",),
        ask=("{Can|May} the {chat page|web page|UI|page} be {turned off|disabled|removed}?",),
        test="In production nobody should see a web page at the root. How?",
        dev="Just the API please, no browser stuff.",
    ),
    Fact(
        key="cache_tokens",
        answer="Set cache_tokens: the tokens that all requests have in the KV cache together, 4 times ctx_size by default. When it is full, the youngest request pauses.",
        must=("cache_tokens",),
        do=("{set|change|limit|raise|reduce} {the size of the KV cache|the KV cache size|cache_tokens|the cache size|the memory of the KV cache|the cache}",),
        about=("{cache_tokens|the size of the KV cache|the KV cache size|OXILLAMA_CACHE_TOKENS}",),
        ask=("How {large|big} is the {KV cache|cache}{| by default}?", "What happens when the {KV cache|cache} is full?", "Why does {a|my} {request|stream} pause?"),
        test="Streams sometimes halt for a while under load and go on. What is the reason, and which setting helps?",
        dev="Where is it decided how many tokens the cache holds in total?",
    ),
    Fact(
        key="prefix_cache",
        answer="What a request has computed serves later ones that begin with the same tokens. usage.prompt_tokens_details.cached_tokens counts it.",
        must=("same tokens", "cached_tokens"),
        do=("{reuse|share|cache} {a prompt|prompts|a prefix|a common prefix|the system prompt|the beginning of a prompt}", "{use|see} {prompt caching|the prefix cache|cached tokens}"),
        about=("{the prefix cache|prompt caching|cached_tokens|prefix caching|cached tokens}",),
        ask=("{Does|Will} it {cache|reuse|remember} {prompts|prefixes|a prompt|the system prompt}?", "Is {a long conversation|the whole history|the system prompt} computed {again|anew} {at|in|with} {each|every} {turn|request|message}?"),
        test="Every request of mine starts with the same 2000 tokens. Are they processed anew each time?",
        dev="Why is the second turn so much quicker than the first one?",
    ),
    Fact(
        key="chat_slash",
        answer="oxillama chat knows /system, /params, /tokens, /save FILE, /load FILE, /reset, /help, /bye and /exit.",
        must=("/save", "/reset"),
        do=("{save|load|reset|restore|export} {a|the|my} {chat|conversation} in {oxillama chat|the terminal|the terminal chat|the chat}", "{set|change} the system prompt in {oxillama chat|the terminal chat|the chat}", "leave {oxillama chat|the terminal chat|the chat}"),
        about=("{/save|/system|/reset|/params|/tokens|/load|slash commands|the commands of the chat|the chat commands}",),
        ask=("{Which|What} {commands|slash commands} {are there|does it have|exist|can I use} in {oxillama chat|the chat|the terminal chat}?",),
        test="During a terminal session, how is the talk written to a file?",
        dev="Inside the interactive prompt, which words begin with a slash?",
    ),
)
