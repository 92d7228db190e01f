"""Fail, and name the service, unless PostgreSQL, MariaDB and Redis respond at the URLs in the environment."""

import os
import sys
from contextlib import closing

import dj_database_url
import psycopg
import pymysql
import redis


def postgresql() -> str:
    with psycopg.connect(os.environ["POSTGRES_URL"], connect_timeout=10) as connection:
        return f"PostgreSQL {connection.info.server_version}"


def mariadb() -> str:
    at = dj_database_url.parse(os.environ["MYSQL_URL"])
    with closing(
        pymysql.connect(
            host=at["HOST"],
            port=at["PORT"] or 3306,
            user=at["USER"],
            password=at["PASSWORD"],
            connect_timeout=10,
        )
    ) as connection:
        return f"MariaDB or MySQL {connection.get_server_info()}"


def redis_server() -> str:
    with redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=10) as client:
        return f"Redis {client.info('server')['redis_version']}"


def main() -> int:
    missing = 0
    for service in (postgresql, mariadb, redis_server):
        try:
            print(service())
        except (psycopg.Error, pymysql.Error, redis.RedisError) as error:
            missing += 1
            print(f"MISSING: {service.__name__}: {error}")
    return missing


if __name__ == "__main__":
    sys.exit(main())
