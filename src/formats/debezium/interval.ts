import { writeInteger } from '../json-text.ts';
import { writeScaled } from './temporal.ts';

/** Intervals in PostgreSQL's own style, `1 year 2 mons -3 days +04:05:06.7`. */

const QUOTE = 0x22;
const MINUS = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;
/** A month has 365.25 / 12 days. */
const SECONDS_PER_MONTH = 2_629_800;

let years = 0;
let months = 0;
let days = 0;
/** The time's parts; all of them have its sign. */
let hours = 0;
let minutes = 0;
let seconds = 0;
let micros = 0;

function read(from: Uint8Array, start: number, end: number): void {
  years = months = days = hours = minutes = seconds = micros = 0;
  let at = start;
  while (at < end) {
    const negative = from[at] === MINUS;
    if (negative || from[at] === PLUS) at++;
    let value = 0;
    for (; at < end && isDigit(from[at]); at++) value = value * 10 + (from[at] as number) - ZERO;
    if (from[at] === COLON) {
      readTime(from, at, end, value, negative ? -1 : 1);
      return;
    }
    if (negative) value = -value;
    // `years`, `mons`, `days`: the first letter tells.
    const unit = from[at + 1];
    if (unit === 0x79) years = value;
    else if (unit === 0x6d) months = value;
    else days = value;
    at++;
    while (at < end && from[at] !== 0x20) at++;
    at++;
  }
}

/** `:MM:SS[.ffffff]` at `at`. */
function readTime(from: Uint8Array, at: number, end: number, wholeHours: number, sign: number): void {
  const digits = (index: number): number => ((from[index] as number) - ZERO) * 10 + (from[index + 1] as number) - ZERO;
  hours = sign * wholeHours;
  minutes = sign * digits(at + 1);
  seconds = sign * digits(at + 4);
  let scale = 100_000;
  for (let index = at + 7; index < end; index++, scale /= 10) micros += sign * scale * ((from[index] as number) - ZERO);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** io.debezium.time.MicroDuration */
export function writeIntervalMicros(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  read(from, start, end);
  const whole = (years * 12 + months) * SECONDS_PER_MONTH + days * 86_400 + hours * 3600 + minutes * 60 + seconds;
  return micros < 0 ? writeScaled(to, at, whole - 1, micros + 1_000_000, 6) : writeScaled(to, at, whole, micros, 6);
}

/** io.debezium.time.Interval: `P1Y2M-3DT4H5M6.7S`, every part there. */
export function writeIntervalText(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  read(from, start, end);
  to[at++] = QUOTE;
  to[at++] = 0x50;
  at = part(to, at, years, 0x59);
  at = part(to, at, months, 0x4d);
  at = part(to, at, days, 0x44);
  to[at++] = 0x54;
  at = part(to, at, hours, 0x48);
  at = part(to, at, minutes, 0x4d);
  if (micros < 0 && seconds === 0) to[at++] = MINUS;
  at = writeInteger(to, at, seconds + 0);
  let rest = Math.abs(micros);
  if (rest > 0) {
    to[at++] = 0x2e;
    for (let scale = 100_000; rest > 0; scale /= 10) {
      const digit = Math.floor(rest / scale);
      to[at++] = ZERO + digit;
      rest -= digit * scale;
    }
  }
  to[at] = 0x53;
  to[at + 1] = QUOTE;
  return at + 2;
}

function part(to: Uint8Array, at: number, value: number, letter: number): number {
  at = writeInteger(to, at, value);
  to[at] = letter;
  return at + 1;
}
