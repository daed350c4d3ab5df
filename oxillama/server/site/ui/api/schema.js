// Reading JSON schemas: what stands behind a reference, and a type in words.

/** The schema itself: references followed, an optional's or an array's only object taken. */
export function schemaOf(api, schema) {
  if (!schema) return {};
  if (schema.$ref) return api.components.schemas[schema.$ref.split("/").pop()] ?? {};
  if (schema.type === "array") return schemaOf(api, schema.items);
  const objects = (schema.anyOf ?? []).map((one) => schemaOf(api, one)).filter((one) => one.properties);
  return objects.length === 1 ? objects[0] : schema;
}

/** The objects that a schema allows: itself, the items of an array, or each member of a union. */
export function objectsOf(api, schema) {
  const whole = schemaOf(api, schema);
  if (whole.properties) return [whole];
  return (whole.anyOf ?? []).flatMap((one) => objectsOf(api, one));
}

/** The type in words: `string, 1 or more long`, `array of Message`, `"asc" or "desc"`. */
export function typeOf(schema) {
  if (!schema) return "anything";
  if (schema.$ref) return schema.$ref.split(/[/.]/).pop();
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.anyOf) {
    const kinds = schema.anyOf.filter((one) => one.type !== "null").map(typeOf);
    return [...new Set(kinds)].join(" or ") || "null";
  }
  const types = [schema.type ?? "anything"].flat().filter((type) => type !== "null");
  if (schema.type === "array") return `array of ${typeOf(schema.items)}${sizes(schema.minItems, schema.maxItems, "")}`;
  if (schema.type === "string") return `string${sizes(schema.minLength, schema.maxLength, " long")}`;
  const low = schema.minimum ?? schema.exclusiveMinimum;
  return types.join(" or ") + range(low, schema.maximum);
}

/** What holds where a field is left out, as in `, default 0.8`; "" where nothing does. */
export function defaultOf(schema) {
  const value = schema?.default;
  return value === undefined || value === null ? "" : `, default ${JSON.stringify(value)}`;
}

function sizes(least, most, word) {
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return `, ${least} or more${word}`;
  return `, ${least ? `${least} to` : "at most"} ${most}${word}`;
}

function range(least, most) {
  const large = (value) => value === undefined || Math.abs(value) > 1e9;
  if (large(least) && large(most)) return "";
  if (large(most)) return `, at least ${least}`;
  return large(least) ? `, at most ${most}` : `, ${least} to ${most}`;
}
