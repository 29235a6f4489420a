import type pg from 'pg';

export const CREATE_SHOP = `
  create table customers (id int generated always as identity primary key, name text not null, city text, since timestamptz not null default now());
  create table products (sku text primary key, title text not null, price numeric(10,2) not null, stock int not null);
  create table orders (id bigint generated always as identity primary key, customer_id int not null references customers, status text not null,
    total numeric(12,2) not null, placed timestamptz not null default now());
  insert into products values ('TEA-01', 'Earl Grey, 250 g', 8.90, 120), ('TEA-02', 'Sencha, 100 g', 12.50, 80), ('POT-01', 'Teapot, 1.2 l', 34.00, 25);`;

const NAMES = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Leslie', 'Frances', 'Tony'];
const CITIES = ['London', 'New York', 'Rotterdam', 'Boston', 'Stanford', 'Zürich'];

/** A busy little shop: people sign up, order, pay, change their minds; some transactions are rolled back and must not be seen. */
export async function startShop(connect: () => Promise<pg.Client>): Promise<{ stop(): Promise<void> }> {
  const client = await connect();
  let running = true;
  const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T;
  const loop = (async () => {
    for (let turn = 0; running; turn++) {
      await oneTurn(client, turn, pick);
      await new Promise((resolve) => setTimeout(resolve, 250 + Math.random() * 500));
    }
  })();
  return {
    stop: async () => {
      running = false;
      await loop;
      await client.end();
    },
  };
}

async function oneTurn(client: pg.Client, turn: number, pick: <T>(values: readonly T[]) => T): Promise<void> {
  if (turn % 5 === 0) {
    await client.query('insert into customers (name, city) values ($1, $2)', [pick(NAMES), pick(CITIES)]);
  } else if (turn % 11 === 0) {
    await client.query(`delete from orders where id = (select min(id) from orders where status = 'cancelled')`);
  } else if (turn % 7 === 0) {
    await client.query(`begin; update products set price = price * 100; rollback`);
  } else if (turn % 3 === 0) {
    await client.query(`update orders set status = $1 where id = (select min(id) from orders where status = 'placed')`, [
      pick(['paid', 'cancelled']),
    ]);
  } else {
    await client.query(`begin;
      with item as (update products set stock = stock - 1 where sku = '${pick(['TEA-01', 'TEA-02', 'POT-01'])}' returning price)
      insert into orders (customer_id, status, total) select (select id from customers order by random() limit 1), 'placed', price from item;
      commit`);
  }
}
