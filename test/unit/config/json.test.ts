import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONFIG_UNKNOWN_KEY } from '../../../src/config/errors.ts';
import { type JsonNode, JsonSyntaxError, locate, locator, parseJson } from '../../../src/config/json.ts';
import { FileProblems, ProblemList } from '../../../src/config/problem.ts';

function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      // fromEntries defines properties, so that a key called __proto__ stays one.
      return Object.fromEntries([...node.members].map(([key, { value }]) => [key, plain(value)]));
    case 'array':
      return node.items.map(plain);
    case 'null':
      return null;
    default:
      return node.value;
  }
}

test('reads what JSON.parse reads, with the same result', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
      const value: unknown = JSON.parse(text);
      expect(plain(parseJson(JSON.stringify(value, null, indent)))).toEqual(value);
    }),
  );
});

test('never breaks in any other way than by its own error, and accepts nothing that JSON.parse refuses', () => {
  const almost = fc.array(
    fc.constantFrom('{', '}', '[', ']', ',', ':', '"', 'a', '1', '-', '.', 'e', '\\', 'u', 'true', 'null', ' ', '\n', '/', '{"a":1}'),
    { maxLength: 14 },
  );
  fc.assert(
    fc.property(almost, (parts) => {
      const text = parts.join('');
      let accepted = true;
      try {
        parseJson(text);
      } catch (error) {
        expect(error).toBeInstanceOf(JsonSyntaxError);
        accepted = false;
      }
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      expect(accepted).toBe(valid);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ['{"a": 1,}', 'a comma before the closing brace', 1, 9],
  ['[1,\n ]', 'a comma before the closing bracket', 2, 2],
  ['{\n  // here\n  "a": 1\n}', 'JSON has no comments', 2, 3],
  ["{'a': 1}", 'a key in double quotes is expected', 1, 2],
  ['{"a" 1}', 'a colon is expected', 1, 6],
  ['{"a": 1 "b": 2}', 'a comma or "}" is expected', 1, 9],
  ['{"a": yes}', 'double quotes', 1, 7],
  ['{"a": "x\n"}', 'no closing quote', 1, 7],
  ['{"a": "C:\\dir"}', 'this escape is not known', 1, 10],
  ['{"a": 012}', 'no number', 1, 7],
  ['{"a": 1} x', 'after the end', 1, 10],
  ['', 'the file is empty', 1, 1],
  [`${'['.repeat(100_000)}`, 'nested deeper', 1, 66],
])('says where %j is no JSON', (text, message, line, column) => {
  try {
    parseJson(text);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(JsonSyntaxError);
    expect((error as Error).message).toContain(message);
    expect(locate(text, (error as JsonSyntaxError).offset)).toEqual({ line, column });
  }
});

test('keeps the second of two equal keys apart, which JSON.parse loses', () => {
  const node = parseJson('{"a": 1, "a": 2}');
  expect(node).toMatchObject({ kind: 'object', duplicates: [{ key: 'a', at: 9 }] });
  expect(plain(node)).toEqual({ a: 1 });
});

test('a byte order mark is no syntax error', () => {
  expect(plain(parseJson('\ufeff{"a": 1}'))).toEqual({ a: 1 });
});

test('a key called __proto__ is a key like any other', () => {
  const node = parseJson('{"__proto__": {"polluted": true}}');
  expect(node.kind === 'object' && node.members.has('__proto__')).toBe(true);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test('a text that is wrong on every line is located in no time: it may have come over HTTP, and holds up all connectors', () => {
  const text = Array.from({ length: 30_000 }, (_, index) => `"key${index}": 1,`).join('\n');
  const problems = new ProblemList();
  const ofFile = new FileProblems('shop.json', text, problems);
  for (let line = 0, at = 0; line < 30_000; line++, at = text.indexOf('\n', at) + 1)
    ofFile.add(`key${line}`, at, CONFIG_UNKNOWN_KEY, { key: 'key', hint: '' });
  // The answer is no longer than anybody reads.
  expect(problems.all.map(({ line, column }) => [line, column])).toEqual(Array.from({ length: 100 }, (_, index) => [index + 1, 1]));
  const place = locator(text);
  const found: number[] = [];
  for (let line = 0, at = 0; line < 30_000; line++, at = text.indexOf('\n', at) + 1) found.push(place(at).line);
  expect(found).toEqual(Array.from({ length: 30_000 }, (_, index) => index + 1));
});
