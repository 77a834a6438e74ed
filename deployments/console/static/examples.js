// Bodies to begin with, from a model's example or else from its signature.

const MOST_NUMBERS = 4096;

/** Return the JSON of a request for /infer; null where it would be too long to edit. */
export function inferBody(metadata) {
  const example = metadata.properties.example;
  if (example) return { inputs: example.inputs };
  const inputs = metadata.inputs.map((tensor) => {
    const shape = sizes(tensor, metadata);
    const range = metadata.properties.ranges?.[tensor.name];
    return { name: tensor.name, datatype: tensor.datatype, shape, data: filled(tensor.datatype, count(shape), range) };
  });
  return inputs.some((each) => count(each.shape) > MOST_NUMBERS) ? null : { inputs };
}

/** Return the JSON of a request for /predict: one instance, of the same row. */
export function predictBody(metadata) {
  const body = inferBody(metadata);
  if (!body) return null;
  const rows = body.inputs.map((each) => [each.name, nested(each.data.flat(Infinity), each.shape)[0]]);
  return { instances: [rows.length === 1 ? rows[0][1] : Object.fromEntries(rows)] };
}

/** Return JSON with short lists in one line each, so that a picture's numbers do not fill the page. */
export function pretty(value) {
  return JSON.stringify(value, null, 1)?.replace(/\[[^[\]{}]*\]/g, (list) =>
    list.replace(/\s+/g, " ").replace(/^\[ | \]$/g, (end) => end.trim()),
  );
}

function sizes(tensor, metadata) {
  const named = metadata.properties.shapes?.[tensor.name] ?? tensor.shape;
  return tensor.shape.map((size, axis) => {
    if (size >= 0) return size;
    return axis === 0 ? 1 : (metadata.properties.dims?.[named[axis]]?.sizes?.[0] ?? 4);
  });
}

function filled(datatype, length, range) {
  const value = { BYTES: "a text", BOOL: true }[datatype] ?? range?.low ?? 0;
  return Array.from({ length }, () => value);
}

function count(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

function nested(flat, shape) {
  if (shape.length <= 1) return flat;
  const step = flat.length / shape[0];
  return Array.from({ length: shape[0] }, (_, index) =>
    nested(flat.slice(index * step, (index + 1) * step), shape.slice(1)),
  );
}
