"""Makes a company with Django's own tools and has Django say what everybody may do.

    python django_company.py sqlite:path | postgres://...  answers.json

The tables are Django's, made by its migrations. The answers are Django's too (`User.has_perm`): Charter has to agree with each of them.
"""
import json
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import django
from django.conf import settings


def database(url):
    if url.startswith("sqlite:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:").removeprefix("//")}
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "HOST": query.get("host", [parts.hostname or ""])[0],
    }


def main(url, answers):
    settings.configure(
        DATABASES={"default": database(url)},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
    )
    django.setup()
    from django.contrib.auth.hashers import PBKDF2PasswordHasher
    from django.contrib.auth.models import Group, Permission, User
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command

    # Few rounds: what is tested is who may do what, and that the format is known.
    hasher = PBKDF2PasswordHasher()
    password = hasher.encode("a password of long ago", "saltsaltsalt", iterations=1000)

    call_command("migrate", verbosity=0)
    # A model that no code knows any more, and a codename of a project that loved capitals.
    stale = ContentType.objects.create(app_label="Warehouse", model="oldpallet")
    Permission.objects.create(content_type=stale, codename="Move_OldPallet", name="Can move old pallets")
    everything = list(Permission.objects.order_by("id"))
    groups = []
    for number in range(12):
        group = Group.objects.create(name=f"group {number} \N{GRINNING FACE} 'of' \"{number}\"")
        group.permissions.set(everything[number :: number + 2])
        groups.append(group)
    Group.objects.create(name="nobody is in it")
    for number in range(60):
        user = User.objects.create(
            username=f"user{number}",
            email="" if number % 7 == 0 else f"User{number}@Toys.example",
            first_name="\u00c4nn" if number % 3 else "",
            last_name=f"O'Neil {number}",
            is_active=number % 5 != 4,
            is_superuser=number % 13 == 12,
            is_staff=number % 2 == 0,
            password=password if number % 11 else "!unusable",
        )
        user.groups.set([group for place, group in enumerate(groups) if (number + place) % 4 == 0 and number % 6])
        user.user_permissions.set(everything[number % 9 :: 17] if number % 4 == 1 else [])

    codes = sorted({f"{it.content_type.app_label}.{it.codename}" for it in everything})
    told = {}
    for user in User.objects.order_by("id"):
        told[user.username] = [code for code in codes if user.has_perm(code)]
    with open(answers, "w", encoding="utf-8") as file:
        json.dump({"permissions": codes, "users": told}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
