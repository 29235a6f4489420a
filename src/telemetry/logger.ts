import { type Logger as Pino, pino } from 'pino';
import type { LogFields, Logger } from '../plugin/context.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json`: one object per line; `pretty`: for a terminal. */
  readonly format: 'json' | 'pretty';
  /** Where lines go; stderr unless a test says otherwise, because stdout belongs to the stdout sink. */
  readonly write?: (line: string) => void;
  /** Replaces secrets in a text (I12). */
  readonly redact: (text: string) => string;
}

/** The process's log: `time level msg connector table code remedy`, level as a word. */
export function createLogger(options: LoggerOptions): Logger & { child(bindings: LogFields): Logger } {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const stream = { write: (line: string): void => write(options.format === 'pretty' ? prettyLine(line) : line) };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return wrap(logger, options.redact);
}

/**
 * Names that anybody may see, which scripts and alerts match on: a password that happens to be the connector's name must not hide it.
 */
const PUBLIC = new Set(['code', 'connector']);

/** Every text is redacted before it is serialised: in a finished line a secret such as `1` or `msg` would take the line's own syntax with it. */
function wrap(logger: Pino, redact: (text: string) => string): Logger & { child(bindings: LogFields): Logger } {
  const shown = (name: string, value: LogFields[string]): LogFields[string] => {
    if (value === undefined || PUBLIC.has(name)) return value;
    const text = String(value);
    const masked = redact(text);
    return masked === text ? value : masked;
  };
  const clean = (fields: LogFields = {}): LogFields => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(name, value)]));
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (logger.isLevelEnabled(level)) logger[level](clean(fields), redact(message));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (bindings) => wrap(logger.child(clean(bindings)), redact),
  };
}

/** `12:00:01 INFO  shop: message (key=value)`, with the remedy on a line of its own. */
function prettyLine(line: string): string {
  const { time, level, msg, connector, remedy, code, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => `${key}=${String(value)}`);
  const head = `${String(time).slice(11, 19)} ${String(level).toUpperCase().padEnd(5)} ${connector === undefined ? '' : `${String(connector)}: `}${String(msg)}`;
  const tail = [...(code === undefined ? [] : [String(code)]), ...details].join(' ');
  return `${head}${tail === '' ? '' : ` (${tail})`}\n${remedy === undefined ? '' : `         → ${String(remedy)}\n`}`;
}
