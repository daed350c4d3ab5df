// A little colour for code: comments, strings, numbers, and the words most languages reserve. Not a parser.

const words = (text) => new Set(text.split(" "));

// Languages by how their comments begin; all others are taken to have // and /* */.
const HASH = words("bash sh shell zsh console python py toml yaml yml ruby r make dockerfile ini");
const DASH = words("sql lua haskell");
const PLAIN = new Set(["", ...words("text txt plain markdown md csv html xml diff")]);
const LONGEST = 20_000; // characters; more stays plain

const RESERVED = words(
  "abstract and as async await break case catch class const continue def default del do elif else enum except " +
    "export extends false finally fn for from func function global if impl import in int interface is lambda let " +
    "loop match mod module mut new nil none None not null or package pass private public pub raise return self " +
    "static struct switch this throw trait true True False try type union use using var void while with yield " +
    "select insert update where join",
);

const COMMENTS = { hash: "#[^\\n]*", dash: "--[^\\n]*", slash: "\\/\\/[^\\n]*|\\/\\*[^]*?(?:\\*\\/|$)" };
// Each may lack its end: code is coloured while it is written.
const STRINGS = [
  '"""[^]*?(?:"""|$)',
  "`(?:[^`\\\\]|\\\\[^])*`?",
  '"(?:[^"\\\\\\n]|\\\\[^])*"?',
  "'(?:[^'\\\\\\n]|\\\\[^])*'?",
].join("|");
const NUMBER = "\\b(?:0x[\\da-fA-F]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b";

function pattern(language) {
  const comment = COMMENTS[HASH.has(language) ? "hash" : DASH.has(language) ? "dash" : "slash"];
  return new RegExp(`(?<comment>${comment})|(?<string>${STRINGS})|(?<number>${NUMBER})|(?<word>[A-Za-z_]\\w*)`, "g");
}

/** The code as text nodes and spans. */
export function coloured(code, language) {
  const found = document.createDocumentFragment();
  if (PLAIN.has(language) || code.length > LONGEST) {
    found.append(code);
    return found;
  }
  let done = 0;
  for (const match of code.matchAll(pattern(language))) {
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    if (kind === "word" && !RESERVED.has(match[0])) continue;
    const span = document.createElement("span");
    span.className = `t-${kind}`;
    span.textContent = match[0];
    found.append(code.slice(done, match.index), span);
    done = match.index + match[0].length;
  }
  found.append(code.slice(done));
  return found;
}
