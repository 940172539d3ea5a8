"""Makes a company with Tryton's own tools and has Tryton say what everybody may do.

    python tryton_company.py sqlite:path | postgres://...  answers.json

What stands in Tryton's code alone (models that defer to others, singletons, table queries) is told apart as `in_code`.
"""
import json
import os
import sys
from urllib.parse import urlsplit

from trytond import config

ACTIONS = ["read", "write", "create", "delete"]


def named(url):
    """Sets Tryton up for a database, and gives its name there."""
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:").removeprefix("//")
        config.set("database", "uri", "sqlite://")
        config.set("database", "path", os.path.dirname(path))
        return os.path.basename(path).removesuffix(".sqlite")
    parts = urlsplit(url)
    config.set("database", "uri", parts._replace(scheme="postgresql", path="/").geturl())
    return parts.path.lstrip("/")


def main(url, answers):
    name = named(url)
    # The engine is chosen when this is imported.
    from trytond import backend
    from trytond.model import ModelSingleton
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    if url.startswith("sqlite:"):
        open(os.path.join(config.get("database", "path"), name + ".sqlite"), "a").close()
    pool = Pool(name)
    database = backend.Database(name)
    database.connect()
    database.init()
    pool.init(update=["ir", "res"], lang=["en"])

    with Transaction().start(name, 0):
        Group, User = pool.get("res.group"), pool.get("res.user")
        Access = pool.get("ir.model.access")
        groups = Group.create([{"name": f"group {number} \N{GRINNING FACE} 'of' \"{number}\""} for number in range(10)])
        # Some inherit from others, over two steps; one in the middle is not active.
        for number in (4, 5, 6):
            Group.write([groups[number]], {"parent": groups[number - 3].id})
        Group.write([groups[7]], {"parent": groups[4].id})
        Group.write([groups[4], groups[9]], {"active": False})
        names = sorted(name for name, _ in pool.iterobject())
        rows = []
        for place, model in enumerate(names):
            if place % 3 == 0:
                for group in groups[place % 5 :: 4]:
                    rows.append({"model": model, "group": group.id, **{f"perm_{it}": (place + group.id + n) % 3 == 0 for n, it in enumerate(ACTIONS)}})
            if place % 6 == 0:
                rows.append({"model": model, "group": None, "perm_read": place % 4 == 0})
            if place % 7 == 0:
                rows.append({"model": model, "group": groups[2].id, "active": False, **{f"perm_{it}": True for it in ACTIONS}})
        Access.create(rows)
        users = []
        for number in range(30):
            mine = [group.id for place, group in enumerate(groups) if (number + place) % 5 == 0 and number % 6]
            users.append({
                "name": f"O'Neil \u00c4nn {number}",
                "login": f"user{number}",
                "active": number % 7 != 6,
                "groups": [("add", mine)] if mine else [],
            })
        User.create(users)

    told, in_code = {}, []
    with Transaction().start(name, 0) as transaction:
        models = sorted(it.name for it in pool.get("ir.model").search([]))
        for model in models:
            Model = pool.get(model)
            if Model.__access__ or issubclass(Model, ModelSingleton) or callable(getattr(Model, "table_query", None)):
                in_code.append(model)
        with transaction.set_context(active_test=False):
            everybody = [(user.id, user.login, user.active) for user in pool.get("res.user").search([])]
    for user, login, active in everybody:
        held = []
        if active:
            with Transaction().start(name, user, context={"_check_access": True}):
                access = pool.get("ir.model.access").get_access(models)
                held = sorted(f"{model}.{action}" for model in models for action in ACTIONS if access[model][action])
        told[login] = held
    with open(answers, "w", encoding="utf-8") as file:
        permissions = sorted(f"{model}.{action}" for model in models for action in ACTIONS)
        json.dump({"permissions": permissions, "users": told, "in_code": in_code}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
