"""Answers that are more than text: calls of tools, structured output, reasoning, vectors and scores."""

from __future__ import annotations

from oxillama.embedded.data.facts.fact import Fact

FACTS = (
    Fact(
        key="tools",
        answer="Yes: send tools with POST /v1/chat/completions, and calls come back in tool_calls. tool_choice is auto, none, required or one function.",
        must=("tool_calls", "tools"),
        do=("{use|send|pass|define|give|offer} {tools|functions|function definitions|my functions} {in|with|through|over} {the API|a request|a chat request|requests|chat completions}", "{let|make|have} the model {call|use} {a function|my functions|tools|a tool}", "{build|run} {an agent|agents} {on|with} {this server|the API|it}"),
        about=("{tools in requests|function calling|tool calls in the API|tool_choice|tool calling|parallel tool calls}",),
        ask=("{Does|Can} {the server|it|the API} {support|do|have|handle} {tools|function calling|tool calls|functions|tool_choice|agents}?", "{How|Where} {does|do} {a tool call|tool calls|a function call} come back?", "Which values {may|can} tool_choice have?"),
        test="My agent framework declares functions in each call. Will the server go along?",
        dev="Can the model ask my program to run a function, over HTTP?",
    ),
    Fact(
        key="structured_output",
        answer="Yes: response_format with json_schema or json_object makes every answer valid JSON; grammar, regex and guided_choice constrain it in other ways.",
        must=("response_format", "json_schema"),
        do=("{get|force|have|use|ask for} {JSON mode|structured output|JSON answers|output that follows a schema|valid JSON}{| in the API| from the API|}", "{constrain|restrict|force} the {answer|output|text} {to|with} {a schema|a JSON schema|a grammar|a regex|some choices|a regular expression}"),
        about=("{response_format|structured output|JSON mode|grammar-constrained output|guided_choice|json_schema|constrained decoding|structured outputs}",),
        ask=("{Does|Can} {the server|it|the API} {support|do|have|handle} {JSON mode|structured output|response_format|JSON schemas|grammars|guided decoding}?", "{Will|Is} the {answer|output} {always |}{be |}valid JSON?", "{How|Can} {do|may} I {send|pass|give} {a grammar|a schema|a JSON schema|a regex}{| with a request}?"),
        test="Each reply has to match my pydantic class. How is that asked for?",
        dev="Is it possible to make the reply conform to a schema through the API?",
    ),
    Fact(
        key="reasoning",
        answer="A model's reasoning comes apart from its answer, as reasoning_content. reasoning_effort sets how much it thinks, reasoning_budget the most tokens of it.",
        must=("reasoning_content", "reasoning_effort|reasoning_budget"),
        do=("{get|see|read|show|hide|separate} {the reasoning|the thinking|a model's thoughts|the chain of thought|thinking tokens}", "{switch off|turn off|disable|limit|shorten|control|stop} {reasoning|thinking|the thinking|long thoughts}"),
        about=("{reasoning|thinking|reasoning_content|reasoning models|reasoning_effort|think tags|the chain of thought|reasoning_budget}",),
        ask=("{Does|Can} {it|the server|the API} {support|handle|run|do} {reasoning models|reasoning|thinking models|thinking}?", "{Where|In which field} {is|comes} {the reasoning|the thinking|the chain of thought}?", "{How|Can} I {limit|stop|bound} {how long|how much} {it|the model} thinks?"),
        test="My R1 distill ponders for ages before its reply; where do those musings go and can they be kept short?",
        dev="I want the thoughts of a Qwen3 away from the text for my users.",
    ),
    Fact(
        key="embeddings_api",
        answer="POST input to /v1/embeddings, or call client.embeddings.create, with a model for embeddings. On the command line it is oxillama embed.",
        must=("/v1/embeddings|embeddings.create",),
        do=("{get|make|compute|request|create} {embeddings|an embedding|vectors|vectors of texts} {over the API|over HTTP|from the server|with the openai client|with curl|through the API}", "serve {an embedding model|a model for embeddings|embeddings}", "{embed|vectorise} {texts|documents} {on the command line|from the shell|over HTTP|with the server}"),
        about=("{the embeddings endpoint|/v1/embeddings|embeddings over the API|oxillama embed|embeddings on the server}",),
        ask=("{Is there|Does it have} {an embeddings endpoint|an endpoint for embeddings|/v1/embeddings}?", "{Which|What} {endpoint|path|route|command} {gives|makes|computes|returns} {embeddings|vectors}?", "{Does|Can} the {server|API} {do|serve|give|make} embeddings?"),
        test="My vector store fetches its vectors by HTTP. Which route would it use here?",
        dev="Can the server hand out vectors as OpenAI does?",
    ),
    Fact(
        key="rerank",
        answer="POST query and documents to /v1/rerank with a reranker: results come sorted by relevance_score. In Python it is model.rerank(query, documents).",
        must=("/v1/rerank|model.rerank",),
        do=("{rerank|sort|order|score|rank} {documents|texts|passages|search results|hits}{| by relevance| for a query| against a query| by a query}", "{use|serve|run} a {reranker|reranking model|cross-encoder}"),
        about=("{reranking|/v1/rerank|the rerank endpoint|rerankers|relevance_score|cross-encoders}",),
        ask=("{Is there|Does it have} {a rerank endpoint|an endpoint for reranking|/v1/rerank|reranking}?", "{Does|Can} {it|the server|the API} {rerank|do reranking|run rerankers|sort documents by relevance|serve a reranker}?", "{Which|What} {endpoint|path|route} {sorts|ranks|scores|reranks} documents?"),
        test="I retrieve fifty passages and would like the best five first. Does the API help?",
        dev="Something like Cohere's endpoint that orders hits by how well they fit?",
    ),
)
