import { type Logger as Pino, pino } from 'pino';
import type { LogFields, Logger } from '../plugin/context.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json`: one object per line; `pretty`: for a terminal. */
  readonly format: 'json' | 'pretty';
  /** Where lines go; stderr unless a test says otherwise, because stdout belongs to the stdout sink. */
  readonly write?: (line: string) => void;
  /** Replaces secrets in a finished line (I12). */
  readonly redact: (line: string) => string;
}

/** The process's log: `time level msg connector table code remedy`, level as a word. */
export function createLogger(options: LoggerOptions): Logger & { child(bindings: LogFields): Logger } {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const stream = { write: (line: string): void => write(options.format === 'pretty' ? prettyLine(options.redact(line)) : options.redact(line)) };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return wrap(logger);
}

function wrap(logger: Pino): Logger & { child(bindings: LogFields): Logger } {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (bindings) => wrap(logger.child(bindings)),
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
