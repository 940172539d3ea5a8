"""Writes adopted_hashes.jsonl: password hashes as the real libraries make them.

Needs Django 5.2, passlib 1.7.4, Werkzeug 3.1, bcrypt 4.0 and argon2-cffi. Each line: which library, the password, its hash.
"""

import json

import django
from django.conf import settings

NAMES = ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "Scrypt"]
settings.configure(PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}PasswordHasher" for name in NAMES])
django.setup()

import bcrypt
import passlib.hash
from argon2 import PasswordHasher, Type
from django.contrib.auth import hashers
from werkzeug.security import generate_password_hash

WORDS = "correct horse battery"
PASSWORDS = [WORDS, "", "пароль для медведя", "cafe\u0301 con leche", "x" * 71, "x" * 72, "long words " * 9]


def put(source, password, text):
    print(json.dumps({"source": source, "password": password, "hash": text}, ensure_ascii=False))


class Quick(hashers.PBKDF2PasswordHasher):
    iterations = 1000


class QuickSha1(hashers.PBKDF2SHA1PasswordHasher):
    iterations = 1000


class QuickBcrypt(hashers.BCryptPasswordHasher):
    rounds = 4


class QuickBcryptSha256(hashers.BCryptSHA256PasswordHasher):
    rounds = 4


class QuickScrypt(hashers.ScryptPasswordHasher):
    work_factor = 2**4


class QuickArgon2(hashers.Argon2PasswordHasher):
    memory_cost = 64
    parallelism = 2


for password in PASSWORDS:
    for hasher in [Quick(), QuickSha1(), QuickBcrypt(), QuickBcryptSha256(), QuickScrypt(), QuickArgon2()]:
        put(f"django {hasher.algorithm}", password, hasher.encode(password, hasher.salt()))
    p = passlib.hash
    quick = {
        "pbkdf2_sha256": p.pbkdf2_sha256.using(rounds=1000),
        "pbkdf2_sha512": p.pbkdf2_sha512.using(rounds=1000),
        "pbkdf2_sha1": p.pbkdf2_sha1.using(rounds=1000),
        "bcrypt": p.bcrypt.using(rounds=4),
        "bcrypt 2a": p.bcrypt.using(rounds=4, ident="2a"),
        "bcrypt 2y": p.bcrypt.using(rounds=4, ident="2y"),
        "bcrypt_sha256": p.bcrypt_sha256.using(rounds=4),
        "bcrypt_sha256 version 1": p.bcrypt_sha256.using(rounds=4, version=1),
        "bcrypt_sha256 version 1 2a": p.bcrypt_sha256.using(rounds=4, version=1, ident="2a"),
        "scrypt": p.scrypt.using(rounds=4),
        "argon2id": p.argon2.using(rounds=1, memory_cost=64, parallelism=1),
        "argon2i": p.argon2.using(rounds=3, memory_cost=64, parallelism=2, type="I"),
    }
    for name, hasher in quick.items():
        put(f"passlib {name}", password, hasher.hash(password))
    for method in ["pbkdf2:sha256:1000", "pbkdf2:sha1:1000", "pbkdf2:sha512:1000", "scrypt:1024:8:1"]:
        put(f"werkzeug {method}", password, generate_password_hash(password, method=method))
    put("bcrypt", password, bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode())
    for version in [16, 19]:
        made = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=Type.ID)
        if version == 16:
            from argon2.low_level import hash_secret

            text = hash_secret(password.encode(), b"0123456789abcdef", 1, 64, 1, 32, Type.ID, version).decode()
        else:
            text = made.hash(password)
        put(f"argon2-cffi version {version}", password, text)

for name in ["pbkdf2_sha256", "argon2", "bcrypt_sha256", "scrypt"]:
    put(f"django default {name}", WORDS, hashers.make_password(WORDS, hasher=name))
put("werkzeug default", WORDS, generate_password_hash(WORDS))
for name in ["pbkdf2_sha256", "bcrypt", "bcrypt_sha256", "argon2"]:
    put(f"passlib default {name}", WORDS, getattr(passlib.hash, name).hash(WORDS))
