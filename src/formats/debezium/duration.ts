import { piece, writePiece } from '../json-text.ts';
import { readMicros, UNIT, type Unit, writeInUnit, writeIsoTime } from './temporal.ts';

/** Durations, `[-]HHH:MM:SS[.ffffff]`, as Debezium's semantic types of times. */

const MINUS = 0x2d;
const COLON = 0x3a;
const ZERO = 0x30;
const NULL_TEXT = piece('null');
const DAY = 86_400;

/** Seconds, rounded down, and the microseconds above them. */
let seconds = 0;
let micros = 0;

function read(from: Uint8Array, start: number, end: number): void {
  const isNegative = from[start] === MINUS;
  let hours = 0;
  let at = isNegative ? start + 1 : start;
  for (; from[at] !== COLON; at++) hours = hours * 10 + (from[at] as number) - ZERO;
  const two = (index: number): number => ((from[index] as number) - ZERO) * 10 + (from[index + 1] as number) - ZERO;
  seconds = hours * 3600 + two(at + 1) * 60 + two(at + 4);
  micros = readMicros(from, at + 6, end);
  if (!isNegative) return;
  seconds = micros === 0 ? -seconds : -seconds - 1;
  micros = micros === 0 ? 0 : 1_000_000 - micros;
}

/** Whether it is a time of the day, the end of the day too. */
function isTimeOfDay(): boolean {
  return seconds >= 0 && (seconds < DAY || (seconds === DAY && micros === 0));
}

/** io.debezium.time.MicroTime and NanoTime; Connect's Time, in milliseconds, is one of the day. */
export function writeDuration(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number, unit: Unit): number {
  read(from, start, end);
  if (unit === UNIT.millis && !isTimeOfDay()) return writePiece(to, at, NULL_TEXT);
  return writeInUnit(to, at, seconds, micros, unit);
}

/** io.debezium.time.IsoTime */
export function writeIsoDuration(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  read(from, start, end);
  return isTimeOfDay() ? writeIsoTime(to, at, from, start, end) : writePiece(to, at, NULL_TEXT);
}
