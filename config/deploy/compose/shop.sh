#!/bin/sh
# Run once by the image of Postgres, on a new volume: two tables, and the role that Sluice logs in with.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" -v password="$SHOP_DB_PASSWORD" <<'SQL'
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL REFERENCES customers, total numeric(12,2) NOT NULL);
INSERT INTO customers (name) VALUES ('Ada'), ('Grace');
INSERT INTO orders (customer, total) VALUES (1, 12.50), (2, 99.00);
CREATE ROLE sluice LOGIN REPLICATION PASSWORD :'password';
GRANT SELECT ON customers, orders TO sluice;
CREATE PUBLICATION sluice_shop FOR TABLE customers, orders WITH (publish_via_partition_root = true);
CREATE PUBLICATION sluice_shop_kafka FOR TABLE customers, orders WITH (publish_via_partition_root = true);
SQL
