"""Assistants, threads, messages and runs, and what survives a crash."""

from __future__ import annotations

from oxillama.embedded.data.facts.fact import Fact

FACTS = (
    Fact(
        key="thread",
        answer="A thread is a conversation kept on the server. Create one with client.beta.threads.create(), or POST /v1/threads.",
        must=("threads.create|/v1/threads",),
        do=(
            "{create|start|make|open|begin} {a|a new} {thread|conversation on the server}",
            "{keep|store|save} {a conversation|conversations|chat history|the history} {on|in} the server",
            "use threads{| in the API| of the Assistants API}",
        ),
        about=("{a thread|threads in the API|a conversation thread|the threads endpoint|client.beta.threads}",),
        ask=(
            "{Does|Can} it {have|support|keep} {threads|conversations|chat history}?",
            "{Does|Can} the server remember {conversations|a conversation|what I said}?",
        ),
        test="I want the server itself to remember the dialogue between requests.",
        dev="In the Assistants API, what holds the messages, and how is it made?",
    ),
    Fact(
        key="add_message",
        answer='Use client.beta.threads.messages.create(thread_id, role="user", content="..."), or POST /v1/threads/THREAD_ID/messages.',
        must=("messages.create|/messages",),
        do=(
            "{add|append|post|send|put} {a message|messages|a question|another message} {to|into|in} {a|the|my} thread",
        ),
        about=("{thread messages|messages of a thread|adding messages}",),
        ask=("{Where|How} do {messages|new messages} {go|get} into a thread?",),
        test="I have a thread id and the user's next sentence. What call joins them?",
        dev="A further question shall go in the existing thread.",
    ),
    Fact(
        key="read_messages",
        answer="client.beta.threads.messages.list(thread_id) or GET /v1/threads/THREAD_ID/messages; the newest comes first.",
        must=("messages.list|GET /v1/threads",),
        do=(
            "{read|list|get|fetch|see|show} {the|all} messages {of|in|from} {a|the|my} thread",
            "{read|get|fetch} the {answer|result|reply} of a run",
        ),
        about=("{listing messages|reading a thread}",),
        ask=("{Where|How} do I {find|read|get} the {answer|reply|messages} {of|in} {a|the} thread?",),
        test="The run has completed; where is its text now?",
        dev="Give me back everything that was said in a thread.",
    ),
    Fact(
        key="run",
        answer="A run lets an assistant answer a thread: client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id).",
        must=("runs.create",),
        do=(
            "{start|create|make|begin|execute|use} {a run|runs|a new run}",
            "{get|let|have} {an assistant|the assistant} {answer|reply to|respond to} {a|the|my} thread",
        ),
        about=("{a run|runs|the runs endpoint|create_and_poll|a run in the API}",),
        ask=("What {are|is} {runs|a run}{| for| good for}?", "How do runs work?"),
        test="The user's message is in the thread. How is the reply produced?",
        dev="Which call makes the assistant respond in its thread?",
    ),
    Fact(
        key="stream_run",
        answer='Create the run with "stream": true, or use client.beta.threads.runs.stream(...). Each piece of text is a thread.message.delta event.',
        must=('runs.stream|"stream": true',),
        do=("{stream|watch|follow} {a run|runs|the answer of a run|an assistant's answer|the events of a run}",),
        about=("{streaming a run|a streamed run|run events|thread.message.delta}",),
        ask=("{Can|Do} runs {stream|be streamed}?", "{Which|What} events does a run send?"),
        test="Is there a live view of an assistant's reply while its run goes on?",
        dev="I want deltas from a run rather than polling it.",
    ),
    Fact(
        key="cancel_run",
        answer="POST /v1/threads/THREAD_ID/runs/RUN_ID/cancel, or client.beta.threads.runs.cancel(...). The run becomes cancelling, then cancelled.",
        must=("cancel",),
        do=("{cancel|stop|abort|end} {a|the|my} run{| that is under way| early}",),
        about=("{cancelling a run|a cancelled run|the cancelling status}",),
        ask=("{Can|May} {a run|runs} be {cancelled|stopped|aborted}?",),
        test="A run takes too long. I want it gone.",
        dev="Is there some way to interrupt a run?",
    ),
    Fact(
        key="assistant",
        answer='client.beta.assistants.create(model=model, instructions="You are brief."): an assistant is a model with instructions.',
        must=("assistants.create",),
        do=(
            "{create|make|define|set up} {an|a new|my own} assistant",
            "{give|set} {instructions|standing instructions} {to|for} {an assistant|the assistant}",
        ),
        about=("{an assistant|assistants|the Assistants API|assistants in the API}",),
        ask=(
            "{Does|Can} it {support|have|do|speak} {assistants|the Assistants API}?",
            "{How do|What are} assistants{| work}?",
        ),
        test="Hosted providers dropped the Assistants API. Does it live on here, and how do I begin?",
        dev="I need a persona with fixed instructions on the server.",
    ),
    Fact(
        key="crash",
        answer="What the server has answered to is on disk. A killed server starts again with every thread and message, and ends or resumes the runs under way.",
        must=("on disk", "resumes"),
        do=("{survive|recover from} {a crash|a power cut|a power failure|a restart}",),
        about=("{durability|crash recovery|a power cut|a crash|data safety}",),
        ask=(
            "{What happens|Is anything lost|Do I lose data|Do I lose threads} {after|in|on|when there is} {a crash|a power cut|a power failure|kill -9|a restart}?",
            "{Are|Is} {my|the} {threads|messages|data|conversations} {safe|kept|lost}{| after a crash| after a restart| when the server is killed}?",
            "What happens to {a run|runs|threads|messages} when the server {is killed|crashes|restarts|dies}?",
        ),
        test="The power went out while it was answering. What do I still have?",
        dev="Somebody did kill -9 on the process. How bad is that?",
    ),
    Fact(
        key="one_process",
        answer="One process at a time may use a data directory: it is locked. Give each server its own with --data-dir.",
        must=("--data-dir", "lock|own"),
        do=(
            "{run|start} {two|several|many|more} servers{| on one machine| side by side| with one data directory}",
            "share {a data directory|the data directory|threads} {between|among} servers",
        ),
        about=("{the lock file|the lock of the data directory|two servers on one data directory}",),
        ask=(
            "{Can|May} {two|several} servers {share|use} {a|one|the same} {data directory|data folder|folder}?",
            "Why is the data directory locked?",
        ),
        test="A second server started next to the first refuses my data folder.",
        dev="Are two processes allowed on the same stored threads?",
    ),
    Fact(
        key="disk_full",
        answer="When no space is left, the change is undone and refused with 507. After a failed fsync nothing is accepted until a restart: 503.",
        must=("507",),
        do=("{handle|fix|solve} {a full disk|error 507|a 507|no space left}",),
        about=("{error 507|status 507|a full disk|a 507|HTTP 507|StoreFullError}",),
        ask=(
            "What happens {when|if} {the disk is full|there is no space|the disk fills up|no space is left|the disk has no room}?",
            "{What does|When do I get} {507|error 507|HTTP 507}{| mean}?",
        ),
        test="The partition ran out of room. What becomes of new messages?",
        dev="Response code 507?",
    ),
)
