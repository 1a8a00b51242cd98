"""The sample project: what a first visitor finds."""

from __future__ import annotations

import dataclasses

import pytest

from studio.opening import opening
from studio.operations import samples


@pytest.fixture
def studio(studio):
    studio.settings = dataclasses.replace(studio.settings, sample=True)
    return studio


def test_the_first_visit_opens_the_sample_with_scenes_and_photographs(studio):
    begin = opening(studio, "", "", {}, "ann")
    project = studio.store.project(begin.project)
    names = [i.name for i in studio.store.images(project.id, limit=100)]
    assert project.name == samples.NAME and project.owner == "ann"
    assert sum(name.startswith("drawn scene") for name in names) == samples.SCENES
    photographs = [name for name in names if name.startswith("photograph")]
    assert len(photographs) >= 3 and all("(scikit-image)" in n or "(gradio)" in n for n in photographs)


def test_two_of_its_scenes_are_labelled_to_the_pixel(studio):
    project = samples.sample_project(studio, "ann")
    done = studio.store.images(project.id, status="done")
    assert len(done) == samples.LABELLED
    for image in done:
        annotations = studio.store.annotations(image.id)
        assert annotations and all(a.source == "import" and not a.draft for a in annotations)
        assert all((a.shape.height, a.shape.width) == (image.height, image.width) for a in annotations)


def test_a_second_visit_opens_the_same_project_and_makes_no_other(studio):
    first = opening(studio, "", "", {}, "ann")
    again = opening(studio, first.project, "", {}, "ann")
    assert again.project == first.project
    assert len(studio.store.projects("ann")) == 1


def test_each_person_gets_a_sample_of_his_own(studio):
    first, other = opening(studio, "", "", {}, "ann"), opening(studio, "", "", {}, "bob")
    assert first.project != other.project
    assert not studio.store.may_see(other.project, "ann")


def test_who_deleted_the_sample_does_not_get_it_again(studio):
    begin = opening(studio, "", "", {}, "ann")
    studio.store.delete_project(begin.project, person="ann")
    assert opening(studio, begin.project, "", {}, "ann").project == ""


def test_an_address_opens_its_image_and_the_project_that_holds_it(studio):
    first = samples.sample_project(studio, "ann")
    other = studio.store.create_project("other", "ann")
    image = studio.store.images(first.id, limit=1)[0]
    begin = opening(studio, other.id, "", {"image": image.id}, "ann")
    assert (begin.project, begin.image, begin.tab) == (first.id, image.id, "segment")


def test_an_address_of_somebody_elses_image_opens_ones_own_project(studio):
    theirs = samples.sample_project(studio, "bob")
    image = studio.store.images(theirs.id, limit=1)[0]
    mine = studio.store.create_project("mine", "ann")
    begin = opening(studio, mine.id, "", {"image": image.id}, "ann")
    assert (begin.project, begin.image, begin.tab) == (mine.id, "", None)


def test_a_host_may_leave_the_sample_out(studio):
    studio.settings = dataclasses.replace(studio.settings, sample=False)
    assert opening(studio, "", "", {}, "ann").project == ""
