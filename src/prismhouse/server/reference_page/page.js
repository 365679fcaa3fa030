"use strict";
// Reads /openapi.json and lists every operation by tag. Details are made when an operation is opened.
const methods = ["get", "post", "put", "patch", "delete"];
const links = new Map();
const $ = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function resolve(node, description) {
  let found = node || {};
  for (let depth = 0; found.$ref && depth < 20; depth += 1) {
    found = found.$ref.replace("#/", "").split("/").reduce((at, part) => (at || {})[part], description) || {};
  }
  return found;
}

function typeOf(schema, description) {
  const name = schema.$ref ? schema.$ref.split("/").pop() : "";
  const real = resolve(schema, description);
  const options = real.anyOf || real.oneOf;
  if (options) return options.map((option) => typeOf(option, description)).join(" | ");
  if (real.enum) return real.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in real) return JSON.stringify(real.const);
  if (real.type === "array") return `${typeOf(real.items || {}, description)}[]`;
  return name || [].concat(real.type || "any").join(" | ");
}

function rulesOf(schema, description) {
  const real = resolve(schema, description);
  const parts = [real, ...(real.anyOf || [])];
  const labels = { minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<", minLength: "min length",
    maxLength: "max length", minItems: "min items", maxItems: "max items", pattern: "pattern" };
  const rules = parts.flatMap((part) => Object.entries(labels).filter(([key]) => key in part)
    .map(([key, label]) => `${label} ${part[key]}`));
  const preset = schema.default !== undefined ? schema.default : real.default;
  if (preset !== undefined && preset !== null) rules.push(`default ${JSON.stringify(preset)}`);
  return [...new Set(rules)].join(", ");
}

function example(schema, description, depth = 0) {
  const real = resolve(schema, description);
  if (real.default !== undefined && real.default !== null) return real.default;
  if (real.enum) return real.enum[0];
  if ("const" in real) return real.const;
  const options = (real.anyOf || real.oneOf || []).filter((option) => resolve(option, description).type !== "null");
  if (options.length) return example(options[0], description, depth);
  const type = [].concat(real.type || "object").find((name) => name !== "null");
  if (type === "array") return depth > 3 ? [] : [example(real.items || {}, description, depth + 1)];
  if (type === "object") {
    const required = new Set(real.required || []);
    const entries = Object.entries(real.properties || {}).filter(([name]) => required.has(name));
    return depth > 3 ? {} : Object.fromEntries(entries.map(([name, of]) => [name, example(of, description, depth + 1)]));
  }
  return { integer: real.minimum || 1, number: real.minimum || 1, boolean: true }[type] ?? "string";
}

function table(rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([name, required, type, rules, text]) => make("tr", {},
    make("th", { scope: "row" }, make("code", { textContent: name }), required ? make("span", { className: "must", textContent: " required" }) : null),
    make("td", {}, make("code", { textContent: type }), rules ? make("div", { className: "rules", textContent: rules }) : null,
      text ? make("div", { className: "rules", textContent: text }) : null)))));
}

function fields(schema, description) {
  const real = resolve(schema, description);
  const required = new Set(real.required || []);
  const rows = Object.entries(real.properties || {}).map(([name, of]) => [
    name, required.has(name), typeOf(of, description), rulesOf(of, description), of.description]);
  return table(rows.sort((left, right) => right[1] - left[1]));
}

// The shapes that a shape names, and those that they name, each once.
function named(schema, description, found = new Map()) {
  const node = schema || {};
  const real = resolve(node, description);
  const name = node.$ref && node.$ref.split("/").pop();
  if (name && found.has(name)) return found;
  if (name && real.properties) found.set(name, real);
  const inner = [...Object.values(real.properties || {}), ...(real.anyOf || []), ...(real.oneOf || []), real.items];
  for (const part of inner) if (part) named(part, description, found);
  return found;
}

function block(text, label) {
  const button = make("button", { className: "copy", type: "button", textContent: "Copy" });
  button.setAttribute("aria-label", `Copy ${label}`);
  const code = make("code", { textContent: text });
  button.addEventListener("click", async () => {
    // Over plain HTTP, except on this machine, browsers have no clipboard for pages: then the text is selected.
    let said = "Selected: press Ctrl+C";
    getSelection().selectAllChildren(code);
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text).then(() => { said = "Copied"; getSelection().empty(); }, () => {});
    }
    button.textContent = said;
    $("said").textContent = said;
    setTimeout(() => { button.textContent = "Copy"; $("said").textContent = ""; }, 2000);
  });
  const pre = make("pre", { tabIndex: 0 }, code);
  return make("div", { className: "block" }, pre, button);
}

function curl(method, path, operation, body) {
  // Braces mean something to curl: a parameter becomes a shell variable, to be set before.
  const target = path.replace(/\{([^}]+)\}/g, (_, name) => `$${name.toUpperCase()}`);
  const lines = [`curl -X ${method.toUpperCase()} "${location.origin}${target}"`];
  if (operation.security) lines.push('-H "Authorization: Bearer $PRISMHOUSE_API_KEY"');
  if ((operation.parameters || []).some((parameter) => parameter.name === "X-Namespace")) lines.push('-H "X-Namespace: $NAMESPACE"');
  if (body !== undefined) {
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`);
  }
  return lines.join(" \\\n  ");
}

function inside(method, path, operation, description) {
  const box = make("div", { className: "inside" });
  if (operation.description) box.append(make("p", { textContent: operation.description }));
  const parameters = (operation.parameters || []).map((parameter) => resolve(parameter, description));
  if (parameters.length) {
    box.append(make("h3", { textContent: "Parameters" }), table(parameters.map((parameter) => [
      `${parameter.name} (${parameter.in})`, parameter.required, typeOf(parameter.schema || {}, description),
      rulesOf(parameter.schema || {}, description), parameter.description])));
  }
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (schema) {
    const real = resolve(schema, description);
    const own = schema.$ref ? schema.$ref.split("/").pop() : "";
    box.append(make("h3", { textContent: `Body${own ? `: ${own}` : ""}` }));
    if (real.description) box.append(make("p", { className: "hint", textContent: real.description }));
    box.append(fields(schema, description));
    for (const [name, shape] of named(schema, description)) {
      if (name !== own) box.append(make("h3", { textContent: name }), fields(shape, description));
    }
  }
  const call = curl(method, path, operation, schema ? example(schema, description) : undefined);
  box.append(make("h3", { textContent: "Call" }), block(call, "the call"));
  return box;
}

function card(method, path, operation, description) {
  const shown = make("span", { className: "path" });
  for (const part of path.split(/(\{[^}]+\})/)) shown.append(part.startsWith("{") ? make("i", { textContent: part }) : part);
  const details = make("details", { className: "operation", id: operation.operationId || "" },
    make("summary", {}, make("span", { className: `method ${method}`, textContent: method.toUpperCase() }), shown,
      make("span", { className: "what", textContent: operation.summary || "" })));
  details.dataset.text = `${method} ${path} ${operation.summary || ""} ${operation.operationId || ""}`.toLowerCase();
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(method, path, operation, description));
    if (details.open && details.id) history.replaceState(null, "", `#${details.id}`);
  });
  return details;
}

function absent({ method, path, operation_id: name }) {
  const shown = make("div", { className: "operation absent" }, make("span", { className: "method", textContent: method }),
    make("span", { className: "path", textContent: path }), make("span", { className: "what", textContent: `${name}: not built, answers 501` }));
  shown.dataset.text = `${method} ${path} ${name} 501 not built`.toLowerCase();
  return shown;
}

function show(description, unbuilt) {
  const tags = new Map();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of methods.filter((name) => item[name])) {
      const tag = (item[method].tags || ["Other"])[0];
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push(card(method, path, item[method], description));
    }
  }
  for (const operation of unbuilt) {
    if (!tags.has(operation.tag)) tags.set(operation.tag, []);
    tags.get(operation.tag).push(absent(operation));
  }
  $("built").textContent = `Show the ${unbuilt.length} that are not built and answer 501`;
  $("about").textContent = `Version ${description.info.version}. ${description.info.description || ""}`;
  for (const [tag, cards] of [...tags].sort(([left], [right]) => left.localeCompare(right))) {
    const id = `tag-${tag.replace(/\W+/g, "-").toLowerCase()}`;
    const link = make("a", { href: `#${id}` }, tag, make("span"));
    const group = make("section", { className: "group" }, make("h2", { id, textContent: tag }), ...cards);
    group.setAttribute("aria-labelledby", id);
    links.set(group, link);
    $("tags").append(link);
    $("list").append(group);
  }
  filter();
  openNamed();
}

function filter() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = $("absent").checked;
  let count = 0;
  for (const [group, link] of links) {
    let here = 0;
    for (const operation of group.querySelectorAll(".operation")) {
      const wanted = all || !operation.matches(".absent");
      operation.hidden = !wanted || !words.every((word) => operation.dataset.text.includes(word));
      here += operation.hidden ? 0 : 1;
    }
    group.hidden = link.hidden = here === 0;
    link.lastChild.textContent = here;
    count += here;
  }
  $("count").textContent = `${count} operation${count === 1 ? "" : "s"}`;
}

function openNamed() {
  const named = $(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.matches("details")) {
    named.open = true;
    named.firstChild.focus({ preventScroll: true });
  }
  named.scrollIntoView({ behavior: "instant" });
}

$("filter").addEventListener("input", filter);
$("absent").addEventListener("change", filter);
window.addEventListener("hashchange", openNamed);
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input[type=search]");
  if (event.key === "/" && !typing) { event.preventDefault(); $("filter").focus(); }
  if (event.key === "Escape" && typing) { $("filter").value = ""; filter(); $("operations").focus(); }
});
async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: status ${answer.status}`);
  return answer.json();
}

Promise.all([read("/openapi.json"), read("/docs/unbuilt.json")]).then((both) => show(...both)).catch((error) => {
  $("about").textContent = "";
  $("list").append(make("p", { className: "fault", textContent: `The description could not be read (${error.message}). Reload the page.` }));
});
