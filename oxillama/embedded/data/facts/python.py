"""Using the package from Python."""

from __future__ import annotations

from oxillama.embedded.data.facts.fact import Fact

FACTS = (
    Fact(
        key="python_model",
        answer='from oxillama import Model; with Model("model.gguf") as model: for piece in model.generate("Once upon a time"): print(piece, end="")',
        must=("Model(\"model.gguf\")", "generate"),
        do=("{use|load|run|open} {a model|oxillama|a GGUF} {in|from|with} Python{| without a server}", "{generate|write} text {in|from|with} Python{| code}", "import oxillama"),
        about=("{the Python API|oxillama.Model|the Model class|import oxillama}",),
        ask=("{Is there|Does it have} {a Python API|a Python library|Python bindings}?", "{Can|How can} I use {it|oxillama} as a {library|Python library}?"),
        test="No server: how do I call it within my own .py program?",
        dev="Is it importable as a module, too?",
    ),
    Fact(
        key="sampling_params",
        answer="SamplingParams(temperature=0.7, top_p=0.95, seed=1, max_tokens=50, stop=(...)): give it to model.generate(prompt, params).",
        must=("SamplingParams(",),
        do=("{set|change|give|pass} {the temperature|sampling parameters|a seed|max_tokens|stop strings|sampling} {in|from} Python",),
        about=("{SamplingParams|sampling in Python|the sampling parameters in Python}",),
        ask=("{How|Where} do I {set|give} {temperature|sampling parameters|sampling} in Python?",),
        test="In my Python code the text should be less random. Which object says so?",
        dev="What class holds temperature and friends?",
    ),
    Fact(
        key="logits",
        answer="model.logits(ids) gives float32 of shape (tokens, vocabulary); ids come from model.tokenize(text).",
        must=("model.logits",),
        do=("{get|read|compute} {logits|the logits|raw scores|next-token scores}{| in Python| of a text}",),
        about=("{logits|model.logits|the logits}",),
        ask=("{Can|How can} I {get|see} {logits|the logits|probabilities} {in|from} Python?", "{What|Which} shape {have|do} {the logits|logits}{| have}?"),
        test="For research I need the raw next-token scores as a numpy array.",
        dev="Is there access to unnormalised scores?",
    ),
    Fact(
        key="embed",
        answer='model.embed(text) gives a float32 vector, the mean over tokens; pooling="last", "cls" or "none" gives others.',
        must=("model.embed",),
        do=("{get|compute|make} {embeddings|an embedding|a vector|the embedding of a text|a text's vector}{| in Python| of a text}",),
        about=("{embeddings in Python|model.embed|pooling|an embedding}",),
        ask=("{Can|How can} I {get|compute} {embeddings|an embedding} {in|from|with} Python?", "{Which|What} pooling {is there|does it use}?"),
        test="I want to compare two sentences by cosine in Python. What yields vectors?",
        dev="A numeric representation for a sentence, please.",
    ),
    Fact(
        key="engine",
        answer="async with Engine.open(path, EngineConfig(parallel=4)) as engine, then async with engine.generate(request) as stream. It needs trio.",
        must=("Engine.open", "trio"),
        do=("{run|do|handle} {many|several|concurrent|parallel} {requests|generations|prompts} {in|from} Python", "use {the engine|Engine|oxillama|it} {asynchronously|with trio|with async|async}"),
        about=("{Engine|the Engine class|EngineConfig|async use|the async API|Engine.open}",),
        ask=("{Is there|Does it have} an async {API|interface|engine}?", "{Does|Can} it {work|be used} with {asyncio|trio|async}?"),
        test="My async service wants to decode dozens of prompts concurrently, without HTTP.",
        dev="What is the asynchronous interface of the library?",
    ),
    Fact(
        key="python_errors",
        answer="Every error is an oxillama.OxillamaError; a file that is not there is the usual FileNotFoundError. oxillama/errors.py draws the tree.",
        must=("OxillamaError",),
        do=("{catch|handle} {errors|exceptions|an error|an exception} {in|from} Python", "catch {errors|exceptions} of oxillama"),
        about=("{OxillamaError|exceptions|the exceptions|errors in Python|the error classes}",),
        ask=("{Which|What} {exceptions|errors|exception} {does it raise|are raised|are there|can it raise}{| in Python}?",),
        test="What goes after 'except' in my Python program?",
        dev="With what base class do I catch anything the library raises?",
    ),
    Fact(
        key="train_demo",
        answer='From a clone: pip install ".[train]", then python -m oxillama.embedded.train. It makes the demonstration model again from its seed.',
        must=("oxillama.embedded.train",),
        do=("{train|make|build|rebuild|reproduce} {the demo model|the demonstration model|you|the embedded model}{| again| myself}",),
        about=("{oxillama.embedded.train|the training of the demo model|training the demonstration model}",),
        ask=("How were you {trained|made|built}?", "{What|Which} data were you trained on?", "{Where|How} {does|was} the {demo|demonstration|embedded} model {come from|made|trained}?"),
        test="Can I recreate the little built-in network on my own computer?",
        dev="By what script did this tiny model come about?",
    ),
)
