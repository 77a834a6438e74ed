// The call of the form as curl, Python and JavaScript, to copy.

const LONG = 600;

/** `call` has url, contentType, and one of text (the body) and file (its name); `withToken` adds the header. */
export function snippets(given, withToken) {
  const call = { ...given, text: given.contentType === "application/json" ? compact(given.text) : given.text };
  const long = call.text !== undefined && call.text.length > LONG;
  const file = call.file ?? (long ? "request.json" : null);
  const note = long ? "Put the body above into request.json." : "";
  return {
    curl: curl(call, file, withToken),
    Python: python(call, file, withToken),
    JavaScript: javascript(call, file, withToken),
    note,
  };
}

function curl({ url, contentType, text }, file, withToken) {
  const parts = [`curl ${quoted(url)}`, `-H 'content-type: ${contentType}'`];
  if (withToken) parts.push('-H "authorization: Bearer $PITSTOP_TOKEN"');
  parts.push(file ? `--data-binary ${quoted(`@${file}`)}` : `--data-binary ${quoted(text)}`);
  return parts.join(" \\\n  ");
}

function python({ url, contentType, text }, file, withToken) {
  const lines = [
    ...(withToken ? ["import os", ""] : []),
    ...(file ? ["from pathlib import Path", ""] : []),
    "import requests",
    "",
  ];
  const headers = [`"content-type": ${JSON.stringify(contentType)}`];
  if (withToken) headers.push('"authorization": f"Bearer {os.environ[\'PITSTOP_TOKEN\']}"');
  const body = file ? `Path(${JSON.stringify(file)}).read_bytes()` : `${JSON.stringify(text)}.encode()`;
  lines.push(
    "answer = requests.post(",
    `    ${JSON.stringify(url)},`,
    `    data=${body},`,
    `    headers={${headers.join(", ")}},`,
    "    timeout=30,",
    ")",
  );
  return [...lines, "answer.raise_for_status()", "print(answer.json())"].join("\n");
}

function javascript({ url, contentType, text }, file, withToken) {
  const headers = [`"content-type": ${JSON.stringify(contentType)}`];
  if (withToken) headers.push("authorization: `Bearer ${token}`");
  const body = file ? "file, // a File, such as that of an <input type=file>" : `${JSON.stringify(text)},`;
  return [
    `const answer = await fetch(${JSON.stringify(url)}, {`,
    '  method: "POST",',
    `  headers: { ${headers.join(", ")} },`,
    `  body: ${body}`,
    "});",
    "console.log(await answer.json());",
  ].join("\n");
}

/** Return JSON in one line; what is not JSON yet as it is. */
function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
