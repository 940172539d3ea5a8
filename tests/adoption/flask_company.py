"""Makes a company with Flask-AppBuilder's own tools and has it say what everybody may do.

    python flask_company.py sqlite:path | postgres://...  answers.json
"""
import json
import sys

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.utils.legacy import get_sqla_class


def address(url):
    if url.startswith("sqlite:"):
        return "sqlite:///" + url.removeprefix("sqlite:").removeprefix("//")
    return url.replace("postgres://", "postgresql+psycopg://", 1)


def main(url, answers):
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=address(url), SECRET_KEY="only of this test, only of this test", FAB_ADD_SECURITY_VIEWS=True
    )
    db = get_sqla_class()()
    db.init_app(app)
    with app.app_context():
        builder = AppBuilder(app, db.session)
        security = builder.sm
        views = [f"View {number} \N{GRINNING FACE}" for number in range(9)]
        pairs = [
            security.add_permission_view_menu(permission, view)
            for view in views
            for permission in ("can_read", "can_write", "menu_access")
        ]
        roles = []
        for number in range(8):
            role = security.add_role(f"role {number} 'of' \"{number}\"")
            for pair in pairs[number :: number + 2]:
                security.add_permission_role(role, pair)
            roles.append(role)
        groups = []
        if hasattr(security, "add_group"):
            for number in range(3):
                groups.append(security.add_group(f"group {number}", f"Group {number}", "", roles=roles[number::3]))
        for number in range(40):
            mine = [role for place, role in enumerate(roles) if (number + place) % 5 == 0] or [roles[0]]
            if number % 9 == 8:
                mine = [security.find_role("Admin")]
            user = security.add_user(
                f"user{number}", "\u00c4nn", f"O'Neil {number}", f"user{number}@toys.example", mine, hashed_password="x" * 20
            )
            if groups and number % 4 == 0:
                user.groups = [groups[number % 3]]
            user.active = number % 6 != 5
            security.update_user(user)
        everything = {
            f"{pair.view_menu.name}.{pair.permission.name}"
            for pair in db.session.query(security.permissionview_model).all()
        }
        told = {}
        for user in security.get_all_users():
            held = set()
            if user.is_active:
                for role in security.get_user_roles(user):
                    held |= {f"{pair.view_menu.name}.{pair.permission.name}" for pair in role.permissions}
                for code in everything:
                    view, permission = code.rsplit(".", 1)
                    assert security._has_view_access(user, permission, view) == (code in held), (user.username, code)
            told[user.username] = sorted(held)
        with open(answers, "w", encoding="utf-8") as file:
            json.dump({"permissions": sorted(everything), "users": told}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
