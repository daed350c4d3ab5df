"""Situations and symptoms in which people need a fact, and words of their own for what they want: further templates by the
fact's key."""

from __future__ import annotations

SCENARIOS: dict[str, tuple[str, ...]] = {
    "serve": (
        "I {got|have|fetched|own|found} a {GGUF|model|gguf file|llama file} {on my disk|in my downloads|from a friend|from the hub}{.|,} {how do I use it|what do I do with it|what next|and now|now what}?",
        "{What do I|Which command must I} {type|enter|run} to {make|let} {my model|a model|my GGUF} {answer|available|reply|talk}?",
        "{How|What} do I {begin|do first|start with}?",
    ),
    "port": (
        "{Another program|Some other service|A web server|Something} {already uses|sits on|blocks|holds|listens on|has taken} {port 8000|8000|the port}{.|,} {can I move the server|how do I move it|what should I do|can you use another}?",
        "{Address already in use|The address is already in use|It says that the address is in use}{.|, what now?|!}",
        "{Where|With what|How} {is|can} {the port|the port number|the TCP port} {be set|decided|chosen|given|determined|changed}?",
        "{Make|Let|Have} it {listen|run|answer} on {port 80|port 9999|some other number|a different port number}.",
    ),
    "host": (
        "{My colleagues|Other people|My tablet|Another PC|Clients in my home|The other laptop} {can't|cannot|should|must|want to|need to} {connect|reach the server|use it|get in|access the API|see the server}{.|, how?|. What is wrong?}",
        "{It works|I get answers} only on {my own machine|localhost|this computer}{.|. Why?}",
        "{Connection refused|Timeouts} from {outside|another host|the network|a remote machine}{.|?}",
        "Which {IP|IP address|address} {must|should} {it|the server} {listen on|bind} {for the network|for others|to be reachable}?",
    ),
    "api_key": (
        "{Nobody|No stranger|Not everybody} {should|may|must} {use|call|reach} {my server|the API|it} {without permission|freely|unasked}.",
        "{How|Can} {is|be} the {API|server} {protected|secured|locked|guarded}{| by a password| by a token}?",
        "{I want|We need} {a login|a token|credentials|a shared secret|authorisation|only trusted callers}{| for the API| for the server}.",
        "{Does|Can} {it|the server} {check|ask for|require|demand|verify} {a password|a token|a secret|keys|credentials}?",
    ),
    "several_keys": (
        "{Each|Every} {customer|group|department|developer|user} {should|shall|must} {have|get|use} {an own|another|a different|its own} {key|API key|password}.",
        "{Two|Three|Several|A few} {teams|apps|clients|users} with {different|separate|own} {keys|API keys}{, possible?|?|, how?}",
    ),
    "send_key": (
        "{Where|How} {does|do} {my key|the key|the token|the API key} {go|belong|appear} in {curl|the request|a call|an HTTP request|the headers}?",
        "{I set a key|The server has a key|I started it with a key}{.|,} {how do I call it now|how do clients send it|what must requests contain}?",
    ),
    "alias": (
        "{My program|The client|The app|Our software} {asks for|expects|wants|sends|has hard-coded} {gpt-4|gpt-3.5-turbo|a model named foo|another model name}{.|. What can I do?|, can it be called that?}",
        "{I don't like|I want to change} the {long|ugly} {name|model name|file name} {in the API|that clients see|of the model}.",
        "{Can|May} the model {have|get|carry} another name?",
    ),
    "data_dir": (
        "{Where|In which place|Under which path} {on disk|on the disk|in the file system} {are|is} {the conversations|threads|everything|my data|the state|messages} {saved|kept|written|stored}?",
        "{Put|Keep|Save|Store} {the threads|the data|messages|everything} {on another disk|on another drive|somewhere else|in my folder|on the big disk}.",
        "{My|The} {disk|partition|home} is {small|almost full}{.|,} {can the data go elsewhere|where else can threads be kept}?",
    ),
    "threads_cpu": (
        "{It|oxillama|The server} {uses|takes|occupies|hogs|loads} {all my CPU|every core|100% CPU|the whole processor|too much CPU}{.|. Can I limit it?|, how do I restrict it?}",
        "{Only|At most|Just} {one|two|three|four} {cores|core|CPUs|processors} {may|should|shall} {be used|compute|work}.",
        "How many {processor cores|cores} {may|should} {it|the engine} use{| for computing}?",
    ),
    "ctx_size": (
        "{My|Our} {texts|documents|chats|prompts|conversations} are {very |}{long|large}{.|,} {how do I make room|what must I set|can the window grow|which setting helps}?",
        "{The window|The context|The context window} {should|shall|must} {be|have|hold} {4096|8192|16384|32768|more} {tokens|tokens long}{.|, how?}",
        "{Where|How} {is|can} the {maximum length|length limit|limit|maximum} of {a conversation|a prompt|the context|a request} {set|be set|changed|be raised}?",
    ),
    "parallel": (
        "{Five|Ten|Twenty|Several|Many|A few} {people|users|colleagues|clients|programs} {will use|use|call|want to use} {it|the server|the API} {together|at once|at the same time|simultaneously|in parallel}{.|, which option?|. What do I set?}",
        "{Can|Does} it {work on|process|answer|handle|juggle} {two|several|more than one} {chats|conversations|requests|questions} {at the same time|at once|simultaneously|side by side}?",
    ),
    "max_waiting": (
        "How many {requests|calls|clients} {may|can} {stand in line|queue up|wait in line|be in the queue|wait for a slot}{| before some are refused}?",
        "{A longer|A shorter|A bigger|No} {queue|waiting line|line|backlog}{, please|, how?|}",
    ),
    "generation_timeout": (
        "{An answer|A generation|One answer} {never ends|takes for ever|takes too long|runs for hours}{.|,} {when is it cut off|is there a limit|can I limit that}?",
        "{After how long|When} is {a generation|an endless answer|a long answer} {cut off|ended|stopped|aborted|given up}?",
    ),
    "drain_timeout": (
        "{How many seconds|How much time|How long} {do|have} {running|unfinished|open} {requests|answers} {get|have|left} {at shutdown|when the server stops|on SIGTERM|before the end}?",
        "{A longer|A shorter} {grace period|drain} {at shutdown|when stopping}{, please|, how?|}",
    ),
    "ping_interval": (
        "{My proxy|A proxy|The load balancer|nginx|My router} {closes|cuts|drops|kills} {idle|quiet|silent} {streams|connections|responses}{.|,} {what helps|does the server send pings|what can I do}?",
        "How often {does|is} {the server ping|a ping sent|a comment sent|a stream pinged}?",
    ),
    "max_body": (
        "{Payload too large|Request entity too large|Body too large}{.|, what now?|?}",
        "{My request|My upload|The JSON|The body} is {too large|too big|refused as too large}{.|. Which limit is that?}",
        "What is the {largest|biggest|maximum} {JSON|body|request|upload} {it takes|I can send|the server accepts|one may post}?",
    ),
    "client_timeouts": (
        "{A client|Somebody|A connection} {sends nothing|reads nothing|is idle|says nothing|hangs}{.|,} {when does the server close it|how long is it kept|when is it thrown out}?",
        "{How long|When} {are|is} {idle|unused|silent} connections {kept|closed|dropped}?",
    ),
    "cors": (
        "{My|A|Our} {web page|web app|site|frontend|React app} {can't|cannot|wants to|must|should} {call|use|fetch from|talk to|reach} the {API|server}{.|. What is to be set?| directly.}",
        "{CORS error|No 'Access-Control-Allow-Origin' header|blocked by CORS policy|preflight fails}{.|, what now?|?}",
        "{Which|What} setting {allows|permits} {browsers|other origins|web pages|an origin}?",
    ),
    "logs": (
        "{We collect|Our system reads|I parse} {logs|log lines} {as JSON|with a tool|by machine}{.|, can it do that?|. Which setting?}",
        "{I want to see|Show me|Tell me} {what the server does|every request|more of what happens|what is going on}{| in the log}.",
        "{The log is|Logs are} too {noisy|quiet|long|verbose}.",
    ),
    "config_file": (
        "{I don't want|I am tired of|I hate} {typing|writing|giving|repeating} {all|so many|the same} options{| every time| again and again}.",
        "{Can|Do} {settings|options|preferences} {live|be kept|go|be written} in a {file|TOML|TOML file}?",
    ),
    "environment": (
        "{In|With} {Docker|a container|systemd|Kubernetes|compose} I {set|can only set|use|want} {variables|environment variables|env}{.|, what are they called?|. Which names?}",
        "{What|How} {are|is} the {variables|env variables|env vars} {called|named|spelled}?",
    ),
    "precedence": (
        "{The file|A variable|An option|My TOML} says {one thing|one port|a} and {the option|a variable|the command line} {another|says another|b}{.|,} {which counts|who wins|which one is used|what holds}?",
        "{Is|Are} {an option|options} stronger than {the file|a variable|the TOML|variables}?",
    ),
    "model_variable": (
        "{Must|Do} I {really |}{write|give|repeat|type} {the path|--model|the model's path} {in every command|each time|always}?",
        "{Is there|Which is} an {environment variable|env var|variable} for the {model|model path|GGUF}?",
    ),
    "no_model": (
        "{I started|I ran|I typed} {the server|oxillama serve|serve} {without anything|without a model|with no options|alone}{.|,} {what answers me|which model is that|what is it serving|why does it work}?",
        "{Is|Does} {there a|the package have a|it ship with a|it include a} {small|little|built-in|tiny} {model|language model}{| already| inside}?",
    ),
    "base_url": (
        "{My app|My tool|The client|My editor|The plugin|A chat program} {asks for|wants|needs|has a field for} {an endpoint|the API URL|a base URL|an OpenAI URL|the server address}{.|, what do I enter?|. What goes there?}",
        "{Instead of|What replaces} api.openai.com{| in my app|, what do I write}?",
    ),
    "openai_client": (
        "{My|Our} {script|code|program|application} {uses|imports|is written for} {openai|the openai package|OpenAI}{.|,} {does it work here|can it stay|what must I change|will it run}?",
        "{Show|Give} me {Python|client|example} {code|lines} {for the client|that connects|to connect|for the openai package}.",
    ),
    "chat_request": (
        "{Give me|Show me|I need} {a curl command|a curl example|an example request|a shell command|a sample call}{| for the server| for the API| that asks a question}.",
        "{How do I|Can I} {put|ask} a question {to|of} the {running|local} server {from the shell|in the shell|with HTTP}?",
        "{Where|To which path|To what URL} do I {post|send} {messages|a conversation|a chat}?",
    ),
    "completions": (
        "{I have|There is} only {a raw text|a beginning|a prompt|plain text}, no {chat|messages|conversation}{.|. Which endpoint?|, which path?}",
        "{The old|The legacy|The plain|The classic} {endpoint|completion endpoint|API} {with a prompt|without messages|for prompts}{, does it exist|}?",
    ),
    "stream": (
        "{I want to|I'd like to|Users should|Can I} {see|read|show|watch} {words|tokens|the text|the answer} {as they come|as it comes|appear|immediately|while it is written|at once}{.|?}",
        "{Must|Do} {I|clients|users} wait for the {whole|complete|full} answer?",
        "{Partial|Incremental|Live} {output|answers|results}{, how|, possible|}?",
    ),
    "sampling_api": (
        "{Which|What} {knobs|extras|extensions|additional parameters|further fields} {beyond|besides} {OpenAI's|the standard ones|the usual ones} {are there|exist|may I send}?",
        "{Does|Will} {the API|the server|a request} {honour|accept|know|understand} {min_p|top_k|repeat_penalty|seed|min_tokens|ignore_eos}?",
    ),
    "many_choices": (
        "{Can|May} one {call|request} {return|give|yield|bring} {several|many|alternative|different} {answers|replies|completions|choices}?",
        "{I need|Give me|I want} {three|ten|several|many} {different|alternative} {replies|answers|versions} {to|for} {one|the same} {prompt|question}.",
    ),
    "list_models": (
        "{How|Where} {can|does} a client {find out|discover|see|ask} {which model|what|the name of what} is {running|served|loaded}?",
        "{What|Which} {is the id|id has|are the ids} of the {served|running|loaded} model{|s}?",
    ),
    "health": (
        "{My|Our|The} {orchestrator|load balancer|monitoring|Kubernetes|watchdog|container} {needs|wants|asks for|polls} {a URL|a probe|an endpoint|a check|a health path}{.|, which?|. Which one?}",
        "Is the server {alive|okay|up|running|fine|well}? {Where do I see that|How do I check|How can I tell}?",
    ),
    "error_429": (
        "{Clients|Some requests|My calls|Many requests} {get|fail with|are refused with|see} {too many requests|429|a rate limit error|rate limit errors}{.|, why?|. What does it mean?}",
        "{RateLimitError|Rate limit exceeded|Too many requests}{| from the server|, why|}?",
    ),
    "error_503": (
        "{My requests|Calls|Clients} {fail|get 503|are refused} {right after the start|while it starts|shortly after launch|during shutdown|at the beginning}{.|, why?}",
        "{Service unavailable|503 service unavailable|The service is unavailable}{.|, is it broken?|, what now?|?}",
    ),
    "error_401": (
        "{The client|My client|openai|My script} {says|raises|reports|fails with} {AuthenticationError|unauthorized|invalid API key|that the key is wrong|incorrect API key}{.|, why?|. What did I forget?}",
        "{You didn't provide an API key|Incorrect API key provided|Not authorised}{.|, it says.|?}",
    ),
    "error_404_model": (
        "{It says|The error says|I get|The server says|It complains} {that the model does not exist|the model `gpt-4` does not exist|model not found|that I have no access to the model}{.|, why?|. What now?}",
        "{NotFoundError|404 not found|404} {on|for|with} {every|each|my} {chat|request|chat request}{.|, why?|}",
    ),
    "context_exceeded": (
        "{My|The|This} {prompt|text|question|document} has {too many tokens|more tokens than fit|more tokens than allowed}{.|, what now?|. What can I do?}",
        "{It|The server} {refuses|rejects|turns away} my {long|very long|huge} {prompt|text|document}{.|, why?}",
    ),
    "error_shape": (
        "{What|Which} {JSON|structure|format|body} {do|does} {failures|an error|a failure|errors} {have|return|come with|carry}?",
        "What {comes back|is returned|does the server answer} {when something fails|when something goes wrong|on an error|in case of an error}?",
    ),
    "refused": (
        "{Are|Is} {parameters|something|options|a field} {that it cannot do|it does not know|not supported} {silently |}{dropped|ignored|refused}?",
        "{BadRequestError|Bad request|400 bad request}{.|, why?|, it says.|?}",
    ),
    "caller_leaves": (
        "{The user|Somebody|A user|The client} {closes|closed|leaves} {the browser|the tab|the page|the window|the connection} {in the middle|during an answer|too early|while it writes}{.|. What happens?|, does it go on?}",
        "{Is|Does} {computing time|time|CPU} {wasted|it waste} {when|if} {a client|the connection} {hangs up|breaks|is lost|leaves}?",
    ),
    "stop_server": (
        "{How|What} {is|do I do so that} the {process|server} {ended|ends|brought down|stops|stopped} {cleanly|in order|properly|without breaking answers}?",
        "{I want|It is time} to {bring it down|end the process|switch it off|restart the server|close it}.",
    ),
    "tls": (
        "{We|Our users|I} {may only use|need|must have|require} {https|https://|encrypted connections|TLS}{.|, what now?|. How?}",
        "{Do|Are} {keys|passwords|my keys|requests} {travel|sent|go} {in clear|encrypted|unencrypted|in plain text}?",
    ),
    "http_version": (
        "{Will|Can|Does} {an h2|an HTTP/2|an HTTP/3|a modern} client {work|connect|talk to it}?",
        "{Which|What} {protocol|protocol version|version of the protocol} {is spoken|does the server use|is it}?",
    ),
    "hypercorn": (
        "{I run|We run|I want to run|We deploy} {my web apps|everything|our apps|it} {with|under|on} {hypercorn|an ASGI server|my own server}{.|. How?|, what is the command?}",
        "{Which|What} {is the|} {callable|factory|app|object} {makes|creates|gives|is} the {ASGI app|application}?",
    ),
    "thread": (
        "{The server|It} {should|shall|must} {remember|keep|store} {the dialogue|the conversation|what was said|my chat|the history}{.|, how?}",
        "{What|Which object} {holds|keeps|contains} {the messages|a conversation|a dialogue} in the {Assistants API|API}?",
    ),
    "add_message": (
        "{I have|There is} {a thread|a thread id|an existing thread}{.|,} {how do I put|how does|where goes} {the next question|a further message|the user's sentence|the next message}{| in| go}?",
        "{Another|A further|The next|A new} {question|message|sentence} {should|shall|must} go {into|to} {my|the|an existing} thread.",
    ),
    "read_messages": (
        "{The run|My run} {is|has} {completed|done|finished|ended}{.|,} where is {the answer|the text|its text|the result|the reply}{| now}?",
        "{Give me|Show me|I need|Let me read} {everything|all|what was said|the whole dialogue} {in|of|from} a thread.",
    ),
    "run": (
        "{The question|A message|The message} is in the thread{.|,} {how do I get the answer|what produces the reply|what makes the assistant answer|how is it answered}?",
        "{Which|What} call {makes|lets|has} the assistant {respond|answer|reply|speak}?",
    ),
    "stream_run": (
        "{I want|I need|Give me} {deltas|events|live text|the text live} {from|of} {a run|my run|runs}.",
        "{Is there|Can I have} a {live view|stream} of {a run|an assistant's reply|the assistant's answer}?",
    ),
    "cancel_run": (
        "{My|The|A} run {takes too long|hangs|is no longer needed|should end|is wrong}{.|,} {how do I get rid of it|how do I stop it|can it be interrupted}{|?}",
        "{Interrupt|Kill|Break off|Cancel} a run{, how|, please|}?",
    ),
    "assistant": (
        "{I want|We need|Give me} {a persona|a bot with instructions|an assistant with fixed instructions|a helper with a character}{| on the server}.",
        "{Is|Does} the {Assistants API|old Assistants API|beta API} {supported|still exist|available|live on|work} here?",
    ),
    "crash": (
        "{The power failed|The machine crashed|The process was killed|It was killed|The computer rebooted|Somebody pulled the plug}{.|,} {what is lost|what is left|are my threads gone|is everything gone|what do I still have}?",
        "How {safe|durable} {is|are} {what is stored|my data|threads|messages|stored messages}?",
    ),
    "one_process": (
        "{The second|Another|A second} {server|process|copy} {refuses|does not start|fails|complains|says the directory is in use}{.|, why?|. What now?}",
        "{Are|Can} two {processes|servers|instances} {allowed on|work on|use} the same {data|threads|directory|stored data}?",
    ),
    "disk_full": (
        "{The disk|My disk|The partition|The drive} {is full|ran full|has no space|ran out of space|is out of room}{.|,} {what happens|what becomes of messages|what now}?",
        "{Insufficient storage|507 insufficient storage|No space left on device}{.|, what now?|?}",
    ),
    "run_command": (
        "{I want|I need|Give me} {one|a single|just one|a quick} {completion|answer|text|try} {in the shell|in my terminal|without HTTP|on the command line|printed}.",
        "{No server|Without HTTP|Without any server}, {just text|only a text|just one completion}{, how?|.|, please.}",
    ),
    "chat_command": (
        "{I want|I'd like|Can I have|Is there} {a dialogue|a conversation|an interactive session|a back and forth} {in|on} {my|the|a} {console|terminal|shell}{.|?}",
        "{Chat|Talk|Converse} without {a browser|HTTP|a server|curl}{.|, how?|?}",
    ),
    "prompt_file": (
        "My prompt is {in a file|very long|in a text file|too long to type|the output of a program}{.|, how do I give it?|. How does run read it?}",
        "cat {file|prompt|text} | oxillama run{?| ...?|, how?}",
    ),
    "max_tokens": (
        "{It|The model|The answer} {writes|talks|says|rambles} {too much|too long|on and on|for ever}{.|, I want less.|. How do I limit it?}",
        "{At most|No more than|Only|Just} {20|50|100|200} {tokens|words}{, please|, how?|.}",
        "How do I say how {many words|much|many tokens|long} it {may|should} {write|be}?",
    ),
    "temperature": (
        "{The output|The text|It} is too {wild|random|boring|chaotic|predictable|crazy}{.|, which option?|. What do I turn?}",
        "{I want|Give me} the {single |}{most probable|most likely|likeliest|best} {token|continuation|text} {each time|always|only}.",
    ),
    "narrow": (
        "{How|Can} {are|I} {unlikely|rare|improbable|bad|strange} tokens {excluded|left out|exclude|dropped|cut off}?",
        "{Nucleus sampling|Top-k sampling|Min-p sampling|The sampler}{, how|, please|, which options|}?",
    ),
    "seed": (
        "{Each|Every} {run|time|call} {gives|brings|yields|I get} {another|a different|other} {text|answer|words|result}{.|. Can I fix that?|, why?}",
        "{I must|I want to|We need to} {reproduce|repeat|get again} {an output|a result|the same text|exactly the same}.",
    ),
    "stop_text": (
        "{It|Generation|The text|The answer} {should|must|shall} {end|halt|stop} {as soon as|when|if} it {writes|produces|says|reaches} {a newline|END|a blank line|'User:'|a word|###}.",
        "{Which|What} option {ends|halts|cuts} {the text|generation|output} at {a given word|some string|a marker}?",
    ),
    "ignore_eos": (
        "{The model|It} {ends|stops|finishes} too {early|soon}{,|.} {I want more text|it should go on|make it continue|force it to go on}.",
        "{Disable|Switch off|Turn off|Suppress} the {end token|EOS token|end of text token|end-of-text}.",
    ),
    "repetition": (
        "{It|The model|My model|The text} {says|writes|repeats} the same {sentence|words|thing|phrase} {again and again|over and over|all the time|for ever}.",
        "{It|The model} {is stuck|gets stuck|is caught|hangs} in a loop{.|, what helps?|. How do I stop that?}",
    ),
    "json_output": (
        "{My script|A program|jq|Our tool} {should|must|wants to|has to} {parse|read|process} {the result|the output|what is printed|results}.",
        "{Results|Output|Figures} {for|readable by} {a machine|machines|programs|jq|scripts}{, how|, possible|}?",
    ),
    "info": (
        "{Is|Was} {the file|my download|my file|this GGUF|the model} {intact|complete|usable|okay|whole|broken}?",
        "{How do I see|Show me|I want to know|Where do I see} {the architecture|the metadata|the size|the layers|the details|what is inside} {of|in} a {GGUF|model|file}{.|?}",
    ),
    "tokenize": (
        "{Into|In} {which|what} {pieces|tokens|parts} {is|does the vocabulary cut|is cut} {my text|a sentence|my sentence|a word}?",
        "{I need|I want to know} the {token count|number of tokens|tokens|ids} of {a text|a document|my prompt|a file}.",
    ),
    "bench": (
        "{I want|I need|Give me|We need} {figures|numbers|speed figures|a measurement} {for|of|about} {throughput|speed|performance|this machine|my box}.",
        "{Is|How do I know whether} {my computer|this machine|my CPU|the box} {fast enough|quick enough|is quick enough|is fast enough}?",
    ),
    "quantize": (
        "My {F16|BF16|F32|full|original} {file|model} is too {big|large|heavy|fat}{.|, what now?|. How do I make it smaller?}",
        "{I want|I need} {a smaller file|fewer bits|less memory|a compact model|4 bits per weight}.",
    ),
    "types": (
        "{I am lost|I am confused|Help me} {among|with|by} {all these|the many} {names|types|Q names|quantisation names}.",
        "{Recommend|Suggest|Name} {me |}{a type|a level|a quantisation|a level of compression}{.|, please.}",
    ),
    "imatrix": (
        "{How|With what} {is|do I} {importance|the importance of columns|what matters} {measured|measure|computed|observed}?",
        "{For|With} {2-bit|two-bit|very low-bit|IQ2|small} {files|types|models} {quality is bad|what improves quality|something is needed first|what do I need}{.|?}",
    ),
    "perplexity": (
        "{Did|Has} {quantising|compression|the quantisation} {hurt|damage|harmed|damaged} {my model|the model|quality}{.|?|? I want a number.}",
        "{Score|Rate|Evaluate|Judge} a model {on|with|by} {a text|a corpus|a text file}{.|, how?|}",
    ),
    "requantize": (
        "{I have|I only have|There is} only {a Q8_0|a Q4_0|a Q6_K|a quantised file|the quantised model}{.|,} {can I make Q4_K_M of it|can I shrink it further|is it possible to quantise it|how do I make it smaller}{|?}",
        "{The input|My input} is {quantised|compressed|quantized} already{.|, is that allowed?|. May I?}",
    ),
    "tensor_types": (
        "{Keep|Leave|Have} the {output|last|embedding|final} {matrix|tensor|layer|projection} {at|in} {Q8_0|F16|more bits|higher precision}{.|, how?}",
        "{The same|One single|A uniform} {type|precision} {everywhere|for all tensors|for everything}{, how?|, which option?|.}",
    ),
    "version": (
        "{For a bug report|For support}{,|} I need {the release|the version|my version|the version number}.",
        "{Does|Is} it {use|using|really use} {AVX-512|AVX2|NEON|my vector instructions}{| on my CPU}? {Where do I see that|How do I see it|}",
    ),
    "isa": (
        "{Compute|Run|Work|Start} without {vector instructions|AVX|AVX-512|SIMD}{, how?|.|, possible?}",
        "{Only|Just} the {plain|generic|portable|C} {kernels|code|row}{, how?|.|, please.}",
    ),
    "exit_status": (
        "{How|Where} {does|can} {a script|my script|CI|my CI|a shell script} {notice|see|know|detect} {that|whether} {something|a command|it} {failed|went wrong|has failed}?",
        "{What|Which} {number|value|code} does a {failing|failed|successful} command return?",
    ),
    "what_is": (
        "{Sum up|Summarise|Explain|Introduce} {oxillama|this project|this software|this package|the purpose of this}{| to a newcomer| in a few words| briefly}.",
        "{What|So what} is this {all about|thing|here|for|program for}?",
        "I am new{.|,} what is {this|oxillama|this for}?",
    ),
    "install": (
        "{I cloned|I have cloned|I downloaded} {the repository|the code|the repo|the sources}{.|,} {what next|how do I install it|how do I set it up|what now}?",
        "My {Python|interpreter} is {3.8|3.9|3.10|3.12|old|too old}{.|,} {is that enough|does it work|will it work|is it recent enough}?",
    ),
    "gguf": (
        "{What|So what} are {these|those} {GGUF|gguf|.gguf} {files|things}?",
        "{Everyone|Everybody|People} {talks|talk} {about|of} GGUF{.|,} what is {it|that}?",
        "{Will|Can} a {version 1|version 2|version 3|v3|v1} {GGUF|file} {open|be read|work|load}?",
    ),
    "get_model": (
        "I have no {model|GGUF|file|model file}{| yet| at all}{.|,} where {do I get one|can I get one|are they|should I look}?",
        "{From|On} {which|what} {site|page|hub|web site} {do people|can I|do I} {get|fetch|download|find} {models|GGUFs|such files|model files}?",
    ),
    "architectures": (
        "{Is|Are} {Qwen|Llama|Mistral|Mixtral|Llama 3|qwen3} {supported|something it can run|possible|okay|among the supported models}?",
        "{Which|What} {families|kinds|families of models|networks} {can it handle|are possible|can I use|does it handle}?",
    ),
    "weight_formats": (
        "{Would|Will|Can} a {file|model} in {IQ3_XXS|Q5_0|BF16|NVFP4|IQ1_S|Q2_K|TQ1_0} {work|be readable|load|run}?",
        "{Which|What} {precisions|number formats|kinds of weights|bit widths} {does it accept|does the loader take|work|are possible}?",
    ),
    "shards": (
        "{My|The|This} model {has|consists of|comes in|is cut into} {three|two|several|many} {parts|pieces|files|shards}{.|,} {which do I name|which one do I give|what do I pass|must I join them}?",
        "{Must|Do} {the pieces|the parts|shards} {be joined|need joining|be merged|be glued together}?",
    ),
    "gpu": (
        "I {have|own|bought|use} {an RTX|a graphics card|a GPU|an Nvidia card|a video card|an AMD card}{.|,} {does it help|is it used|will it be used|can it be used|does that speed things up}?",
        "{Is|Would} a {video card|graphics card|GPU} {needed|required|helpful|used|help}?",
    ),
    "images": (
        "{May|Can} {users|a user|I|people} {attach|send|upload|paste} {screenshots|a screenshot|pictures|photos|recordings|voice messages}?",
        "{Does|Would|Can} {speech|voice|vision|picture} {input|recognition} {work|exist}?",
    ),
    "several_models": (
        "{I want|I'd like|We need} {both|two|a small and a large|llama and qwen|several different} {models|LLMs}{| available| side by side| at once}.",
        "{Host|Offer|Have} {two|several|different} models {side by side|in parallel|on one machine}{, how?|?|.}",
    ),
    "memory": (
        "{My|The|This} {box|machine|laptop|computer} has {8|16|32|64} GB{.|,} {is that enough|will a model fit|what fits|how do I estimate that}?",
        "What {determines|decides|drives} {the memory|memory consumption|how much RAM is used|RAM usage}?",
    ),
    "loading_time": (
        "{There is|I see|Why is there} a {pause|delay|wait} {at the start|before it answers|before the URL appears|after the command}{.|?|, why?}",
        "{What|Why} is it {busy with|doing|waiting} {at the start|at start-up|before it is ready|so long at first}?",
    ),
    "systems": (
        "I {have|own|use} {a MacBook|a Mac|an ARM board|an ARM server|Ubuntu|Windows|Debian|a Raspberry Pi}{.|,} {will it run|does it work|can I use it|any chance}?",
        "{On|For} {which|what} {OS|system|operating system|platform} is it {made|meant|built|tested}?",
    ),
    "cpu_kernels": (
        "{My|This} {processor|CPU|computer|chip} is {old|ten years old|without AVX|very old|from 2012}{.|,} {will it do|is that enough|does it still work|is it good enough}?",
        "{Must|Does} {a|the|my} {chip|CPU|processor} {have|need} {AVX-512|AVX2|special instructions|vector instructions}?",
    ),
    "faster": (
        "{The answers|Tokens|Words} {come|drip|crawl} {slowly|too slowly|very slowly|out slowly}{.|, what helps?|. What can I do?}",
        "{The speed|Its speed|Performance} is {disappointing|bad|poor|low|too low}{.|, any advice?|. What are my options?}",
    ),
    "batching": (
        "{Are|Is} {simultaneous|parallel|several|concurrent} {prompts|requests|sequences|users} {computed together|computed jointly|batched|processed in one step}?",
        "{Does|Is} {throughput|the total speed} {grow|better|rise} with {more users|many users|several sequences|eight users}?",
    ),
    "template": (
        "{Who|What} {formats|turns|wraps|puts} {a conversation|messages|my messages} {for the model|into a prompt|in the right form}?",
        "{Must|Do} I {write|add|insert} {the special tokens|ChatML|the markers|role marks} myself?",
    ),
    "quantisation": (
        "What {is gained|is lost|do I gain|do I lose} {by|with|through} {quants|quantising|quantisation|fewer bits}?",
        "{People|Everyone} {talk|talks} {of|about} {quants|quantised models|4-bit models}{.|,} what {is that|does it mean}?",
    ),
    "not_gguf": (
        "{It says|The error is|It told me|I get}: {model.gguf|my file|file.gguf}: is not a GGUF file{.| (it begins with '<!DO').| (it begins with 'PK').|, why?}",
        "{I have|My model is|There is} {a safetensors|a .safetensors|a PyTorch|a .bin|an ONNX} {file|model|checkpoint}{.|,} {will it load|can it be used|does that work}?",
    ),
    "no_file": (
        "{It|The program|oxillama} {can't|cannot|does not} {find|see|open} {my model|the file|my file|the GGUF}{.|, why?| although it exists.|, what is wrong?}",
        "{Error|It answers|It says|The output is}: No such file or directory{.|, why?|}",
    ),
    "licence": (
        "{On|Under} what {terms|conditions} {may we|can I|may I} {use|ship|sell|distribute|change} {it|oxillama|this}?",
        "{Is it|Is this} {GPL|MIT|Apache|open source|proprietary|free}?",
    ),
    "documentation": (
        "Where {may|can|do} I {read|learn|find} {more|everything|about everything|details|all this}{| in detail}?",
        "{How|Where} {can|do} I see all {flags|options|switches} {of|for} a command?",
    ),
    "python_model": (
        "{How|Can} {do|} I {call|use|run} {it|the model|a model} {inside|within|in} my {own |}{.py file|Python program|Python script|program|notebook}?",
        "Is {it|oxillama} {also |}{importable|a module|a Python module|a library}{|, too}?",
    ),
    "sampling_params": (
        "{Which|What} {class|object} {holds|sets|contains|takes} {temperature|the sampling parameters|max_tokens|top_p} {in|for} {Python|the Python API|my code}?",
        "{In|From} {Python|my code|my Python program} the text {should|must} be {less random|longer|shorter|reproducible}.",
    ),
    "logits": (
        "{I need|Give me|Is there access to} {raw|unnormalised|next-token} {scores|logits|numbers}{| as an array| as numpy| for research|?}",
        "{The distribution|Scores|Probabilities} {over|of} the next token{, in Python|, as an array|, how|}?",
    ),
    "embed": (
        "{I want|I need} to {compare|match|cluster} {two sentences|texts|sentences|documents} {by meaning|by similarity|with vectors|by cosine}{| in Python}.",
        "{A vector|Vectors|A numeric representation|Features} {for|of} {a text|a sentence|my texts}{, how?|, please.|?}",
    ),
    "engine": (
        "{My|Our} {async|asynchronous|trio} {program|service|code} {wants|needs|has} to {generate|decode|run} {many|dozens of|several} {prompts|texts|requests}{| at once| concurrently}.",
        "{Which|What} is the {asynchronous|async|concurrent} {interface|class|API}{| of the library| in Python}?",
    ),
    "python_errors": (
        "What {goes|comes|do I write} after {except|'except'}{| in Python| in my program|}?",
        "{Which|What} base class {catches|covers} {everything|all errors|what the library raises|anything}?",
    ),
    "train_demo": (
        "{Can|How can|How do} I {recreate|retrain|make|build} {this|the} {little|small|tiny|built-in} {model|network}{| myself| on my computer| again}?",
        "{By|With} {what|which} {script|program|command} was {this|the} {little|tiny|small|demo} model {made|built|trained}?",
    ),
    "chat_page": (
        "{Is there|Do you have|I want} {anything|something} {to click|to look at|graphical|visual}{| instead of commands|?}",
        "{I don't like|Without|No} {terminals|curl|commands}{.|,} {is there a page|a page, please|a web page?|something for the browser?}",
    ),
    "api_docs": (
        "{I want to|Can I} {generate|make|derive} {a client|code|types} from {a schema|an OpenAPI file|the description}{.|?}",
        "{Where|How} can I {look up|see|find} {each|every|a} {route|endpoint|path} {of the server|that exists|and its fields}?",
    ),
    "no_ui": (
        "{Nobody|No user|Visitors} should {see|not see|find} {a|the} {web page|chat page|page}{| at the root| in production}.",
        "{Only|Just} the {API|endpoints}, {no|without} {pages|web page|browser stuff|UI}{, please.|.|, how?}",
    ),
    "cache_tokens": (
        "{A stream|My stream|An answer|The text} {stops|halts|pauses} {for a while|for some seconds|in the middle} and {then |}goes on{.|, why?|. Which setting?}",
        "How many tokens {fit in|does|can} the {whole |}{cache|KV cache}{| hold| keep}{| in total| together}?",
    ),
    "prefix_cache": (
        "{All|Many|My} {requests|prompts} {begin|start} with the same {text|system prompt|tokens|instructions}{.|,} {is that computed each time|is that reused|is it cached}{|?}",
        "{Why is|How can} {the second|a later|the next} {turn|answer|request} {be |}{quicker|faster}{| than the first}?",
    ),
    "chat_slash": (
        "{In|Inside|During} {the terminal chat|oxillama chat|a chat in the terminal}{,|} {how do I save|what can I type|which commands work|how do I start over|how do I see the tokens}?",
        "{Store|Write|Keep} {a|the|my} {terminal chat|chat|conversation} {in|to} a file{.|, how?}",
    ),
}
