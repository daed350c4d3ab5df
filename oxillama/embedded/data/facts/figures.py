"""Plots, timings, what a context costs, and chats beyond one line."""

from __future__ import annotations

from oxillama.embedded.data.facts.fact import Fact

FACTS = (
    Fact(
        key="plot",
        answer='Add --plot FILE.png or --plot FILE.svg to oxillama bench or oxillama info. Plots need pip install "oxillama[plot]".',
        must=("--plot",),
        do=("{draw|plot|make|get|create|save} {a plot|a chart|a graph|a diagram|a picture|an image|curves|a figure}{| of the speed| of the benchmark| of the tensor types| of a model's types| from bench| from info}", "{see|show|visualise|visualize} {the speed|the benchmark|the results|the tensor types|bench results} {as a picture|as a graph|as a chart|graphically|in a diagram}"),
        about=("{--plot|the plot option|the extra plot|plots|charts of bench|SVG output|PNG output}",),
        ask=("{Can|Does} {bench|info|oxillama bench|oxillama info|it} {draw|plot|make} {a picture|a chart|graphs|curves|plots|something}?", "{What|Which} {package|extra|library} {is needed for|do I need for} {plots|charts|plotting}?"),
        test="My boss prefers curves to columns of numbers for the speed tests.",
        dev="Is there a way to look at the layers' weight formats as an image?",
    ),
    Fact(
        key="timings",
        answer='Chat answers have "timings": prompt_per_second and predicted_per_second say how fast they were. A stream has them in its last chunk, if asked for usage.',
        must=("timings", "predicted_per_second|per_second"),
        do=("{see|get|read|find|know} {how long an answer took|the timings|the speed of an answer|the timings of a request|tokens per second of an answer|the time that a request took}{| in the response| in the API| in the JSON}",),
        about=("{timings|the timings object|predicted_per_second|prompt_per_second|timings in responses|the timings field}",),
        ask=("{Does|Do} {the response|a response|the API|answers|chat answers} {say|tell|contain|include} {how fast it was|how long it took|timings|the speed|tokens per second}?", "{Which|What} {field|part} of {the response|the answer|the JSON} {has|tells|says} {the speed|how long it took|tokens per second|the timings}?"),
        test="Every reply over HTTP should tell me how quickly it was produced. Does it?",
        dev="In the JSON that comes back, where do I read off tokens per second?",
    ),
    Fact(
        key="bench_lists",
        answer="Give several values, as in oxillama bench --threads 1,2,4. --depth and --sequences take such lists too; each value gets a line.",
        must=("1,2,4",),
        do=("{compare|try|measure|benchmark|bench} {several|different|various|many|some} {thread counts|numbers of threads|threads|depths|context lengths|batch sizes|numbers of sequences|settings}{| in one benchmark| with bench| at once| in one go}", "{give|pass} {bench|oxillama bench} {a list|several values|more than one value|a list of threads}", "find the best number of threads"),
        about=("{lists in bench|several values for bench|bench with several values|comparing thread counts|--depth of bench|a list of threads for bench}",),
        ask=("{Can|Does} {bench|oxillama bench} {take|measure|compare} {lists|several values|more than one value|several thread counts|different batch sizes}?", "{Which|How many|What number of} threads {are|is} {fastest|best|quickest}{| here| on my machine}?"),
        test="One benchmark command, three settings for the cores: possible?",
        dev="I'd like a table of speeds with 1, 2 and 8 threads from a single run.",
    ),
    Fact(
        key="kv_type",
        answer="Use --kv-type f32, f16, i16, q8_0 or auto: what keys and values are kept as. q8_0 has room for twice the context of f16.",
        must=("--kv-type", "q8_0"),
        do=("{set|change|choose|pick} {the KV cache type|the type of the KV cache|what keys and values are kept as|the KV precision|the format of the cache|the KV type}", "{quantize|quantise|compress|shrink} the {KV cache|cache|context cache|keys and values}", "{use|have} {an 8-bit|a q8_0|a smaller|a quantised|an f16|an exact} KV cache", "{fit|get} {twice the context|more context|a longer context} {in|into|out of} {the same memory|memory|my RAM}"),
        about=("{--kv-type|kv_type|the KV cache type|the type of the KV cache|KV cache quantisation|i16 keys|q8_0 for the KV cache}",),
        ask=("{Can|Does} {the KV cache|it} {be quantised|be 8-bit|use q8_0|be compressed|have 8 bits}?", "{Which|What} {types|formats|precision} {can the KV cache have|does the KV cache use|are keys and values kept in|is the KV cache kept in}?"),
        test="Keys and values take too much RAM at long contexts; may they be kept in 8 bits?",
        dev="What does the server store attention state as, and how do I alter that?",
    ),
    Fact(
        key="chat_pipe",
        answer='Pipe lines in: printf "%s\\n" "Hello" | oxillama chat --model FILE.gguf. Without a terminal every line of standard input is a message.',
        must=("every line", "oxillama chat"),
        do=("{pipe|send|feed} {messages|lines|several messages|questions|a file of questions} {into|to|through} {oxillama chat|the chat|chat}", "{use|script|run|drive|automate} {oxillama chat|the chat|chat|the terminal chat} {from a script|without a terminal|in a pipe|over a pipe|non-interactively|with stdin|in cron}"),
        about=("{chat over a pipe|oxillama chat without a terminal|piping into chat|a scripted chat|chat with standard input}",),
        ask=("{Does|Can} {oxillama chat|chat|the chat command} {work|run|be used} {without a terminal|in a pipe|over a pipe|in a script|with piped input|from stdin}?", "What {happens|does chat do} {when|if} {its input is a pipe|there is no terminal|stdin is no terminal}?"),
        test="From a shell script I want a conversation of two turns, no keyboard involved.",
        dev="questions.txt holds one question per line; the chat command shall answer each.",
    ),
    Fact(
        key="multiline",
        answer='Alt-Enter begins a new line in oxillama chat, and """ begins and ends a message of several lines. Pasted text keeps its lines.',
        must=("alt-enter", '"""'),
        do=("{write|type|send|enter} {a message of several lines|several lines|a multi-line message|a multiline message|more than one line|a paragraph|a long message}{| in chat| in the terminal chat| in oxillama chat}", "{begin|start|insert|make|add} a {new line|line break|newline} in {chat|oxillama chat|the terminal chat|a message}", "paste {code|a text|several lines|a block} into {chat|oxillama chat|the terminal chat}"),
        about=("{multi-line messages|messages of several lines|Alt-Enter|a line break in chat|triple quotes in chat}",),
        ask=("{Can|May} a {message|chat message} have {several|more than one|many} lines{| in the terminal}?", "{Which|What} key {begins|makes|gives} a new line{| in chat| in oxillama chat}?"),
        test="When I press Enter in the console talk it sends at once, but my text has two paragraphs.",
        dev="How can I put a line feed in what I say to the terminal chat?",
    ),
)
