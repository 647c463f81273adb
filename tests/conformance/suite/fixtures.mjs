// The fixtures of the conformance suite as plain data: what is listed, and what is always answered the same.

export const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';
export const WATCHED = 'test://watched-resource';

export const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: PIXEL, mimeType: 'image/png' };
const audio = { type: 'audio', data: SILENCE, mimeType: 'audio/wav' };
const embedded = (uri, mimeType, content) => ({ type: 'resource', resource: { uri, mimeType, text: content } });

const empty = { type: 'object' };
const strings = (...names) => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
  required: names,
});
const jsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};
const headerSchema = {
  type: 'object',
  properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
  required: ['region'],
};

/** Tools that always answer the same. */
export const CONSTANT = {
  test_simple_text: [text('This is a simple text response for testing.')],
  test_image_content: [image],
  test_audio_content: [audio],
  test_embedded_resource: [
    embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
  ],
  test_multiple_content_types: [
    text('Multiple content types test:'),
    image,
    embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ],
  json_schema_2020_12_tool: [text('JSON Schema 2020-12')],
  test_added_tool: [text('I was added')],
};

const SCHEMAS = {
  test_sampling: strings('prompt'),
  test_elicitation: strings('message'),
  test_x_mcp_header: headerSchema,
  json_schema_2020_12_tool: jsonSchema,
};
export const tool = (name) => ({
  name,
  description: `The fixture ${name}`,
  inputSchema: SCHEMAS[name] ?? empty,
});

export const RESOURCES = [
  { uri: 'test://static-text', name: 'static-text', description: 'A text that never changes', mimeType: 'text/plain' },
  { uri: 'test://static-binary', name: 'static-binary', description: 'A picture that never changes', mimeType: 'image/png' },
  { uri: WATCHED, name: 'watched-resource', description: 'A text that is changed', mimeType: 'text/plain' },
];
export const TEMPLATES = [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'template',
    description: 'A resource for every id',
    mimeType: 'application/json',
  },
];

/** What a URI holds; undefined if it is not ours. */
export function read(uri) {
  const template = /^test:\/\/template\/([^/]+)\/data$/.exec(uri);
  if (template) {
    const data = { id: template[1], templateTest: true, data: `Data for ID: ${template[1]}` };
    return { uri, mimeType: 'application/json', text: JSON.stringify(data) };
  }
  return {
    'test://static-text': { uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
    'test://static-binary': { uri, mimeType: 'image/png', blob: PIXEL },
    [WATCHED]: { uri, mimeType: 'text/plain', text: 'Watched resource content' },
  }[uri];
}

const argument = (name, description) => ({ name, description, required: true });
export const PROMPTS = [
  { name: 'test_simple_prompt', description: 'A prompt without arguments' },
  {
    name: 'test_prompt_with_arguments',
    description: 'A prompt with two arguments',
    arguments: [argument('arg1', 'First test argument'), argument('arg2', 'Second test argument')],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A prompt that embeds a resource',
    arguments: [argument('resourceUri', 'URI of the resource to embed')],
  },
  { name: 'test_prompt_with_image', description: 'A prompt with a picture' },
  { name: 'test_input_required_result_prompt', description: 'A prompt that asks for a context first (MRTR)' },
];

/** The content of a prompt's messages; undefined if there is none of that name. */
export function prompt(name, given) {
  return {
    test_simple_prompt: [text('This is a simple prompt for testing.')],
    test_prompt_with_arguments: [text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`)],
    test_prompt_with_embedded_resource: [
      embedded(given.resourceUri ?? '', 'text/plain', 'Embedded resource content for testing.'),
      text('Please process the embedded resource above.'),
    ],
    test_prompt_with_image: [image, text('Please analyze the image above.')],
  }[name];
}

const OPTIONS = ['option1', 'option2', 'option3'];
const TITLED = [
  { const: 'value1', title: 'First Option' },
  { const: 'value2', title: 'Second Option' },
];
/** What the elicitations of sessions ask for. */
export const FORMS = {
  test_elicitation: {
    said: 'User response',
    schema: {
      type: 'object',
      properties: {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      },
      required: ['username', 'email'],
    },
  },
  test_elicitation_sep1034_defaults: {
    said: 'Elicitation completed',
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      },
      required: [],
    },
  },
  test_elicitation_sep1330_enums: {
    said: 'Elicitation completed',
    schema: {
      type: 'object',
      properties: {
        untitledSingle: { type: 'string', enum: OPTIONS },
        titledSingle: { type: 'string', oneOf: TITLED },
        legacyEnum: {
          type: 'string',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
        titledMulti: { type: 'array', items: { anyOf: TITLED } },
      },
      required: [],
    },
  },
};

const ask = (message, name, type = 'string') => ({
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type } }, required: [name] },
  },
});
const sample = (question, maxTokens) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text(question) }], maxTokens },
});
const roots = { method: 'roots/list' };
const name = ask('What is your name?', 'name');
const confirm = ask('Please confirm', 'ok', 'boolean');

/** What the multi-round-trip tools need before they answer, by tool; `capability` says what a client needs for it. */
export const NEEDED = {
  test_input_required_result_elicitation: { user_name: name },
  test_input_required_result_sampling: { capital_question: sample('What is the capital of France?', 100) },
  test_input_required_result_list_roots: { client_roots: roots },
  test_input_required_result_request_state: { confirm },
  test_input_required_result_tampered_state: { confirm },
  test_input_required_result_multiple_inputs: {
    user_name: name,
    greeting: sample('Generate a greeting', 50),
    client_roots: roots,
  },
  test_streaming_elicitation: { user_name: name },
};
export const STATEFUL = new Set(
  ['request_state', 'tampered_state', 'multiple_inputs'].map((each) => `test_input_required_result_${each}`),
);
export const POSSIBLE = {
  user_name: { capability: 'elicitation', request: name },
  greeting: { capability: 'sampling', request: sample('Generate a greeting', 50) },
  client_roots: { capability: 'roots', request: roots },
};
export const STEPS = {
  step1: ask('Step 1: What is your name?', 'name'),
  step2: ask('Step 2: What is your favorite color?', 'color'),
  user_context: ask('What context should the prompt use?', 'context'),
};
