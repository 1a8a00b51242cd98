from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from studio.access import COOKIE, HEADER, LOCAL, PersonMiddleware, current_person


def client(people: str, base_url: str = "http://testserver") -> TestClient:
    app = FastAPI()

    @app.get("/")
    def who(request: Request) -> dict:
        return {"context": current_person(), "header": request.headers.get(HEADER)}

    app.add_middleware(PersonMiddleware, people=people)
    return TestClient(app, base_url=base_url)


def test_on_ones_own_machine_everybody_is_the_same_person_and_needs_no_cookie():
    answer = client("one").get("/")
    assert answer.json() == {"context": LOCAL, "header": LOCAL}
    assert COOKIE not in answer.cookies


def test_a_browser_stays_the_same_person_and_another_is_another():
    first, second = client("each"), client("each")
    person = first.get("/").json()["context"]
    assert first.get("/").json() == {"context": person, "header": person}
    assert second.get("/").json()["context"] != person


def test_a_persons_id_does_not_give_away_the_cookie():
    browser = client("each")
    person = browser.get("/").json()["context"]
    assert person not in browser.cookies[COOKIE]
    thief = client("each")
    thief.cookies.set(COOKIE, person)
    assert thief.get("/").json()["context"] != person


@pytest.mark.parametrize("name", [HEADER, HEADER.upper()])
def test_a_person_cannot_be_claimed_by_header(name: str):
    answer = client("each").get("/", headers={name: LOCAL}).json()
    assert LOCAL not in (answer["context"], answer["header"])


def test_the_cookie_works_inside_a_frame_of_another_site_over_https():
    cookie = client("each", "https://testserver").get("/").headers["set-cookie"]
    assert "SameSite=None" in cookie and "Secure" in cookie and "HttpOnly" in cookie
    assert "SameSite=Lax" in client("each").get("/").headers["set-cookie"]


def test_a_broken_cookie_header_is_a_new_person_not_an_error():
    answer = client("each").get("/", headers={"cookie": f"{COOKIE}=x; =;; a=\x01"})
    assert answer.status_code == 200
